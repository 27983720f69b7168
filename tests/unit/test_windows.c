/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "lives/windows.h"

static struct windows windows;
static struct window latest;
static struct births births;
static uint64_t open;

static void change(uint32_t mark, int64_t by)
{
    windows_advance(&windows, &latest, mark, open, open * 100);
    open += (uint64_t)by;
    window_change(&latest, open, open * 100);
}

static uint32_t low(uint32_t index)
{
    windows_settle(&windows, &latest);
    return windows.low[index];
}

Test(windows, the_smallest_number_counts)
{
    change(0, 5);
    change(1, 3);
    change(1, -6);
    change(1, 4);
    change(2, 1);
    windows_advance(&windows, &latest, 3, open, open * 100);
    cr_expect_eq(low(0), 0, "it began with none");
    cr_expect_eq(low(1), 2);
    cr_expect_eq(low(2), 6);
    cr_expect_eq(low(3), 7);
    cr_expect_float_eq(windows.low_bytes[1], 200, 0);
}

Test(windows, what_nothing_happens_to_stays)
{
    change(0, 4);
    windows_advance(&windows, &latest, 50, open, open * 100);
    for (int i = 1; i <= 50; i++)
        cr_expect_eq(low(i), 4);
    cr_expect_eq(windows.current, 50);
}

Test(windows, neighbours_merge)
{
    for (uint32_t mark = 0; mark < 64; mark++)
        change(mark, mark % 2 ? -1 : 3);
    change(64, 1);
    cr_expect_eq(low(1), 2, "of 2 and 4");
    cr_expect_eq(low(31), 62);
    cr_expect_eq(windows.shift, 1);
    cr_expect_eq(windows.current, 32);
    cr_expect_eq(windows_mark(&windows, 5), 10);
}

Test(windows, a_long_way_at_once)
{
    change(10, 2);
    change(1000000, 1);
    cr_expect_lt(latest.current, LIVES_WINDOWS);
    cr_expect_geq(latest.current, LIVES_WINDOWS / 2);
    cr_expect_eq(low(latest.current), 2);
}

Test(windows, the_same_windows_for_all_that_come_to_the_same_mark)
{
    struct windows late = {0};
    struct window of_late = {0};
    for (uint32_t mark = 0; mark < 777; mark += 5)
        change(mark, 1);
    windows_advance(&windows, &latest, 777, open, 0);
    windows_advance(&late, &of_late, 777, 0, 0);
    windows_settle(&windows, &latest);
    windows_settle(&late, &of_late);
    cr_expect_eq(windows.shift, late.shift);
    cr_expect_eq(windows.current, late.current);
}

Test(windows, births_are_told_by_window)
{
    windows.births = &births;
    change(0, 1);
    latest.births++;
    change(3, 2);
    latest.births++;
    latest.births++;
    window_unborn(&latest);
    windows_settle(&windows, &latest);
    cr_expect_eq(births.born[0], 1);
    cr_expect_eq(births.born[3], 1);
    windows_born_since(&windows, &latest, 2, 5);
    cr_expect_eq(births.born[2] + births.born[3], 1 + 5);
    cr_expect_leq(births.born[2], births.born[3]);
    windows_kept(&windows, 3);
    cr_expect_eq(births.kept[3], 1);
}

Test(windows, births_stay_when_neighbours_merge)
{
    windows.births = &births;
    for (uint32_t mark = 0; mark < 1000; mark++) {
        change(mark, 1);
        latest.births++;
    }
    uint32_t sum = 0;
    windows_settle(&windows, &latest);
    for (unsigned i = 0; i <= windows.current; i++)
        sum += births.born[i];
    cr_expect_eq(sum, 1000);
    cr_expect_eq(births.born[0], 1u << windows.shift);
}
