/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "lives/busy.h"

static uint64_t sum(const struct busy *busy)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < BUSY_WINDOWS; i++)
        total += busy->ticks[i];
    return total;
}

Test(busy, a_call_is_told_where_it_lay)
{
    struct busy busy = {.shift = 4};
    busy_add(&busy, 8, 40);
    cr_expect_eq(busy.ticks[0], 8);
    cr_expect_eq(busy.ticks[1], 16);
    cr_expect_eq(busy.ticks[2], 8);
    busy_add(&busy, 40, 40);
    busy_add(&busy, 50, 40);
    cr_expect_eq(sum(&busy), 32);
}

Test(busy, windows_widen_and_nothing_is_lost)
{
    struct busy busy = {0};
    for (uint64_t i = 0; i < 1000; i++)
        busy_add(&busy, i * 1000, i * 1000 + 250);
    cr_expect_eq(sum(&busy), 250000);
    cr_expect_geq(BUSY_WINDOWS << busy.shift, 999250);
    cr_expect_lt(BUSY_WINDOWS << busy.shift, 2 * 999250);
    busy_add(&busy, UINT64_MAX - 10, UINT64_MAX);
    cr_expect_eq(sum(&busy), 250010);
}
