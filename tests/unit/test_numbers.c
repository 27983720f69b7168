/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "read/numbers.h"

static struct numbers numbers;

static void see(uint32_t lane, uint64_t number)
{
    size_t place;
    cr_assert_eq(numbers_see(&numbers, lane, number, &place), 0);
    cr_assert_eq(numbers.lanes[place].lane, lane);
}

static void settle(void)
{
    cr_assert_eq(numbers_settle(&numbers), 0);
}

static uint64_t missing_of_first_lane(void)
{
    uint64_t missing, largest;
    numbers_missing(&numbers, 0, &missing, &largest);
    return missing;
}

Test(numbers, one_after_the_other_is_one_span)
{
    for (uint64_t i = 0; i < 100000; i++)
        see((uint32_t)(i % 3), i / 3);
    settle();
    cr_expect_eq(numbers.spans.count, 3);
    cr_expect_eq(numbers.repeated.count, 0);
    cr_expect_eq(missing_of_first_lane(), 0);
    cr_expect(numbers_has_lane(&numbers, 2));
    cr_expect_not(numbers_has_lane(&numbers, 3));
    numbers_free(&numbers);
}

Test(numbers, two_buffers_in_turn_are_one_span)
{
    for (uint64_t i = 0; i < 100000; i++)
        see(7, i ^ 1);
    cr_expect_eq(numbers.spans.count, 0, "none had to be closed");
    settle();
    cr_expect_eq(numbers.spans.count, 1);
    cr_expect_eq(numbers.repeated.count, 0);
    numbers_free(&numbers);
}

Test(numbers, gaps_are_counted)
{
    for (uint64_t i = 5; i < 100; i++)
        if (i % 10 != 0)
            see(0, i);
    settle();
    uint64_t missing, largest;
    cr_expect_eq(numbers_missing(&numbers, 0, &missing, &largest), numbers.spans.count);
    cr_expect_eq(missing, 5 + 9);
    cr_expect_eq(largest, 99);
    numbers_free(&numbers);
}

Test(numbers, lanes_are_apart)
{
    see(9, 0);
    see(4, 3);
    see(9, 2);
    settle();
    uint64_t missing, largest;
    size_t next = numbers_missing(&numbers, 0, &missing, &largest);
    cr_expect_eq(missing, 3);
    cr_expect_eq(numbers_missing(&numbers, next, &missing, &largest), numbers.spans.count);
    cr_expect_eq(missing, 1);
    cr_expect_eq(largest, 2);
    numbers_free(&numbers);
}

Test(numbers, the_largest_number_there_is)
{
    see(0, UINT64_MAX);
    see(0, 0);
    settle();
    cr_expect_geq(missing_of_first_lane(), UINT64_MAX - 3);
    numbers_free(&numbers);
}

/* In any order, against a plain count. */
Test(numbers, repeated_ones_are_known)
{
    enum { NUMBERS = 2000 };
    unsigned seen[NUMBERS] = {0};
    uint64_t state = 1;
    for (int i = 0; i < 1500; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t number = i % 3 ? (uint64_t)i : (state >> 33) % NUMBERS;
        seen[number]++;
        see(1, number);
    }
    settle();
    uint64_t missing = 0, gap = 0;
    for (uint64_t i = 0; i < NUMBERS; i++) {
        cr_expect_eq(numbers_repeated(&numbers, 1, i), seen[i] > 1, "%zu", (size_t)i);
        gap += seen[i] == 0;
        missing = seen[i] ? gap : missing;
    }
    cr_expect_eq(missing_of_first_lane(), missing);
    cr_expect_not(numbers_repeated(&numbers, 2, 1));
    numbers_free(&numbers);
}
