/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which blocks are samples, and which of them are alive. What is drawn at random is held against its law, within five standard
 * deviations: chance exceeds them once in two million times. */
#include "state/samples.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>

#define DRAWS 400000
#define MEAN  65536.0

static bool hit(struct samples_line *line, uint64_t size)
{
    line->left -= (int64_t)size;
    return line->left < 0 && samples_hit(line, size, MEAN);
}

static void expect_share(uint64_t size, uint64_t hits, uint64_t draws)
{
    double share = -expm1(-(double)size / MEAN), mean = share * (double)draws;
    double sd = sqrt(mean * (1 - share));
    cr_expect_leq(fabs((double)hits - mean), 5 * sd + 1e-9, "%lu bytes: %lu of %lu, not %.1f", size, hits, draws, mean);
}

Test(samples, share_by_size)
{
    static const uint64_t sizes[] = {1, 16, 100, 1000, 65536, 200000, 3000000};
    struct samples_line line = {0};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        uint64_t hits = 0;
        for (int n = 0; n < DRAWS; n++)
            hits += hit(&line, sizes[i]);
        expect_share(sizes[i], hits, DRAWS);
    }
}

/* Every so many bytes exactly, one of the two would always be met, and the other never. */
Test(samples, what_repeats_at_the_mean_is_no_special_case)
{
    struct samples_line line = {0};
    uint64_t small = 0, large = 0;
    for (int n = 0; n < DRAWS; n++) {
        small += hit(&line, 536);
        large += hit(&line, 65000);
    }
    expect_share(536, small, DRAWS);
    expect_share(65000, large, DRAWS);
}

/* The first block of a thread is as likely as any other: threads may make few. */
Test(samples, the_first_block_of_a_line)
{
    uint64_t hits = 0;
    for (int n = 0; n < DRAWS; n++) {
        struct samples_line line = {0};
        hits += hit(&line, 10000);
    }
    expect_share(10000, hits, DRAWS);
}

/* A process may be traced again, and its threads are as the first trace left them. */
Test(samples, a_line_follows_the_mean)
{
    for (int n = 0; n < 100; n++) {
        struct samples_line line = {0};
        uint64_t hits = 0;
        samples_hit(&line, 1, 0x1p30);
        for (int i = 0; i < 2 * SAMPLES_STRETCH; i++)
            hits += --line.left < 0 && samples_hit(&line, 1, 1);
        cr_expect_gt(hits, SAMPLES_STRETCH / 4, "%lu", hits);
    }
}

Test(samples, lines_that_are_forgotten_begin_anew)
{
    struct samples_line line = {0};
    hit(&line, 1);
    cr_expect(line.begun);
    samples_line_forget(&line);
    cr_expect(!line.begun && line.left == 0);
}

static _Alignas(SAMPLES_PAGE) uint64_t sets[SAMPLES_ROOM][SAMPLES_WAYS];
static _Alignas(SAMPLES_PAGE) uint8_t counts[SAMPLES_COUNTS];
static struct samples samples = {.sets = sets, .counts = counts};

static void *address(uintptr_t number)
{
    return (void *)number;
}

Test(samples, living_ones_are_known)
{
    void *block = address(0x7f0000001010);
    cr_expect_not(samples_may_have(counts, block));
    cr_expect_eq(samples_remove(&samples, block), SAMPLES_NONE);
    samples_add(&samples, block);
    cr_expect(samples_may_have(counts, block));
    cr_expect(samples_has(&samples, block) && samples_has(&samples, block));
    cr_expect_not(samples_has(&samples, address(0x7f0000001020)) || samples_has(&samples, NULL));
    cr_expect_eq(samples_remove(&samples, address(0x7f0000001020)), SAMPLES_NONE);
    cr_expect_eq(samples_remove(&samples, block), SAMPLES_ONE);
    cr_expect_not(samples_may_have(counts, block));
}

Test(samples, one_whose_end_nobody_saw_is_not_counted_twice)
{
    void *block = address(0x7f0000001010);
    samples_add(&samples, block);
    samples_add(&samples, block);
    cr_expect_eq(samples_remove(&samples, block), SAMPLES_ONE);
    cr_expect_not(samples_may_have(counts, block));
}

#define CLOSE 20000u /* small blocks beside each other: four times what the first table holds */

Test(samples, as_many_as_there_are_are_known)
{
    unsigned known = 0;
    for (uintptr_t i = 0; i < CLOSE; i++)
        samples_add(&samples, address(0x7f0000001000 + 32 * i));
    cr_expect_gt(samples.deepest, 0);
    for (uintptr_t i = 0; i < CLOSE; i++)
        known += samples_remove(&samples, address(0x7f0000001000 + 32 * i)) == SAMPLES_ONE;
    cr_expect_eq(known, CLOSE);
}

/* Never is one taken for none: where there is no room, all that have its count are told. */
Test(samples, more_than_there_is_room_for)
{
    uintptr_t room = (uintptr_t)SAMPLES_ROOM * SAMPLES_WAYS, known = 0, perhaps = 0, missed = 0;
    for (uintptr_t i = 0; i <= room; i++)
        samples_add(&samples, address(0x7f0000001000 + 32 * i));
    for (uintptr_t i = 0; i <= room; i++) {
        void *block = address(0x7f0000001000 + 32 * i);
        missed += !samples_may_have(counts, block);
        enum samples_found found = samples_remove(&samples, block);
        known += found == SAMPLES_ONE;
        perhaps += found == SAMPLES_PERHAPS;
    }
    cr_expect_eq(missed, 0);
    cr_expect_gt(perhaps, 0);
    cr_expect_eq(known + perhaps, room + 1);
}

Test(samples, more_with_one_count_than_it_can_tell)
{
    for (uintptr_t i = 0; i < 300; i++)
        samples_add(&samples, address(0x7f0000001000 + 16 * SAMPLES_COUNTS * i));
    unsigned missed = 0;
    for (uintptr_t i = 0; i < 300; i++) {
        void *block = address(0x7f0000001000 + 16 * SAMPLES_COUNTS * i);
        missed += !samples_may_have(counts, block) || samples_remove(&samples, block) == SAMPLES_NONE;
    }
    cr_expect_eq(missed, 0);
}

Test(samples, without_a_table)
{
    struct samples none = {.counts = counts};
    samples_add(&none, address(0x7f0000001010));
    cr_expect_eq(samples_remove(&none, address(0x7f0000001010)), SAMPLES_PERHAPS);
}

Test(samples, all_are_forgotten)
{
    void *block = address(0x7f0000001010);
    samples_add(&samples, block);
    samples_forget(&samples);
    cr_expect_not(samples_may_have(counts, block));
    cr_expect_eq(samples_remove(&samples, block), SAMPLES_NONE);
}

#define THREADS 4
#define ROUNDS  100000

static void *churn(void *argument)
{
    void *block = address(0x7f0000001000 + 16 * (uintptr_t)argument); /* one set, and four counts */
    uintptr_t missed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        samples_add(&samples, block);
        missed += !samples_may_have(counts, block) || samples_remove(&samples, block) != SAMPLES_ONE;
    }
    return (void *)missed;
}

Test(samples, threads)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, churn, (void *)i), 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        void *missed;
        cr_assert_eq(pthread_join(threads[i], &missed), 0);
        cr_expect_null(missed);
    }
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_expect_not(samples_may_have(counts, address(0x7f0000001000 + 16 * i)));
}
