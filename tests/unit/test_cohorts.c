/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <math.h>

#include "verdicts/cohorts.h"

static uint32_t born[COHORT_WINDOWS];

/* So many survivors by the end of each window. */
static void grow(double (*upto)(double windows))
{
    for (int i = 0; i < COHORT_WINDOWS; i++)
        born[i] = (uint32_t)(round(upto(i + 1)) - round(upto(i)));
}

static double linear(double windows)
{
    return 10 * windows;
}

static double root(double windows)
{
    return 1000 * sqrt(windows);
}

/* The same, of which the first eight windows lie before what is looked at. */
static double later_root(double windows)
{
    return 1000 * sqrt(windows + 8);
}

static double flat(double windows)
{
    return 1000 * (1 - exp(-windows / 4));
}

Test(cohorts, a_leak)
{
    grow(linear);
    struct cohorts cohorts = cohorts_of(born, 60, 0);
    cr_expect_eq(cohorts.onset, 0);
    cr_expect_eq(cohorts.survivors, 600);
    cr_expect_eq(cohorts.groups, 16);
    cr_expect_eq(cohorts.generations, 1);
    cr_expect_float_eq(cohorts.order, 1, 1e-6);
    cr_expect_float_eq(cohorts.order_sd, sqrt(1 / 300.0 - 1 / 600.0) / log(2), 1e-4);
    cr_expect_not(cohorts_ceased(born, 2));
}

Test(cohorts, orders)
{
    grow(root);
    cr_expect_float_eq(cohorts_of(born, 64, 0).order, 0.5, 0.06,
                       "but for its first window, cut as an outlier");
    grow(flat);
    cr_expect_lt(cohorts_of(born, 64, 0).order, 0.05);
}

/* A hundred survivors of a root, whose first eighth is not seen. */
static double few_of_a_later_root(double windows)
{
    return 17 * sqrt(windows + 8);
}

static double few_of_a_line(double windows)
{
    return 1.5 * windows;
}

Test(cohorts, all_births_tell_a_root_from_a_line_sooner)
{
    grow(few_of_a_later_root);
    struct cohorts cohorts = cohorts_of(born, 64, 8);
    cr_expect_float_eq(cohorts.survivors, 96, 3);
    double high = cohorts_likely_order_high(born, &cohorts, 8, 1);
    cr_expect_lt(high, cohorts.order + 1.645 * cohorts.order_sd - 0.03, "by how many there are at half and at the end");
    cr_expect_gt(cohorts_likely_order_high(born, &cohorts, 8, 4), high + 0.2, "lumps leave more doubt");
    grow(few_of_a_line);
    cohorts = cohorts_of(born, 64, 0);
    cr_expect_gt(cohorts_likely_order_high(born, &cohorts, 0, 1), 1);
}

Test(cohorts, order_is_measured_from_where_growth_began)
{
    grow(later_root);
    cr_expect_float_eq(cohorts_of(born, 64, 8).order, 0.5, 0.02);
    cr_expect_gt(cohorts_of(born, 64, 0).order, 0.6, "its beginning cut off, a root looks steeper");
    grow(linear);
    cr_expect_float_eq(cohorts_of(born, 64, 8).order, 1, 1e-6, "a line does not");
}

Test(cohorts, unevenness)
{
    struct cohorts all = {.onset = 0, .end = COHORT_WINDOWS};
    grow(linear);
    cr_expect_eq(cohorts_unevenness(born, &all), 1);
    grow(flat);
    for (int i = 0; i < COHORT_WINDOWS; i++)
        born[i] = i % 4 ? 0 : 40;
    cr_expect_float_eq(cohorts_unevenness(born, &all), 40, 1);
    for (int i = 0; i < COHORT_WINDOWS; i++)
        born[i] = i / 8 % 2 ? 0 : 40;
    cr_expect_float_eq(cohorts_unevenness(born, &all), 320, 1);
    all.end = 0;
    cr_expect_eq(cohorts_unevenness(born, &all), 1);
}

Test(cohorts, onset)
{
    for (int i = 40; i < COHORT_WINDOWS; i++)
        born[i] = 5;
    struct cohorts cohorts = cohorts_of(born, 60, 6);
    cr_expect_eq(cohorts.onset, 40);
    cr_expect_eq(cohorts.survivors, 100);
    cr_expect_float_eq(cohorts.order, 1, 1e-6);
}

Test(cohorts, few_survivors_make_few_groups)
{
    born[3] = born[20] = born[40] = 3;
    struct cohorts cohorts = cohorts_of(born, 64, 0);
    cr_expect_eq(cohorts.survivors, 9);
    cr_expect_eq(cohorts.groups, 2);
}

Test(cohorts, a_table_between_does_not_hide_a_leak)
{
    grow(linear);
    born[10] = 5000;
    struct cohorts cohorts = cohorts_of(born, 64, 0);
    cr_expect_gt(cohorts.top_two, 0.8);
    cr_expect_float_eq(cohorts.order, 1, 0.1);
}

Test(cohorts, a_leak_goes_on_after_a_cache_has_filled)
{
    struct cohorts tail;
    for (int i = 0; i < COHORT_WINDOWS; i++)
        born[i] = i < 12 ? 100 : (unsigned)(9 + i % 3);
    struct cohorts cohorts = cohorts_of(born, 62, 6);
    cr_expect_lt(cohorts.order, 0.9);
    cr_assert(cohorts_go_on(born, &cohorts, 6, &tail));
    cr_expect_eq(tail.onset, 31);
    cr_expect_eq(tail.generations, 1);
    cr_expect_eq(tail.survivors, 10 * 31);
}

Test(cohorts, what_slows_down_does_not_go_on)
{
    struct cohorts tail, cohorts;
    grow(later_root);
    cohorts = cohorts_of(born, 62, 8);
    cr_expect_not(cohorts_go_on(born, &cohorts, 8, &tail), "a memo without bound");
    grow(flat);
    cohorts = cohorts_of(born, 62, 0);
    cr_expect_not(cohorts_go_on(born, &cohorts, 0, &tail), "a finite key space");
    grow(linear);
    cohorts = cohorts_of(born, 12, 0);
    cr_expect_not(cohorts_go_on(born, &cohorts, 0, &tail), "too few windows");
}

Test(cohorts, none)
{
    struct cohorts cohorts = cohorts_of(born, 64, 0);
    cr_expect_eq(cohorts.survivors, 0);
    cr_expect_eq(cohorts.generations, 0);
    cr_expect(cohorts_ceased(born, 2));
    cr_expect_eq(cohorts_of(born, 0, 0).survivors, 0);
}

Test(cohorts, ceased)
{
    for (int i = 0; i < 40; i++)
        born[i] = 3;
    cr_expect(cohorts_ceased(born, 2));
    cr_expect(cohorts_ceased(born, 24));
    cr_expect_not(cohorts_ceased(born, 25));
}

Test(cohorts, a_silence_that_was_due_is_none)
{
    for (int i = 0; i < COHORT_WINDOWS; i += 12)
        born[i] = 20;
    cr_expect_not(cohorts_ceased(born, 2), "it comes in lumps");
    born[60] = 0;
    born[0] = 1;
    cr_expect_not(cohorts_ceased(born, 2));
}

Test(cohorts, until)
{
    double ends[COHORT_WINDOWS];
    for (int i = 0; i < COHORT_WINDOWS; i++)
        ends[i] = i + 1;
    cr_expect_eq(cohorts_until(ends, 0.5), 0);
    cr_expect_eq(cohorts_until(ends, 10), 10);
    cr_expect_eq(cohorts_until(ends, 1000), COHORT_WINDOWS);
}
