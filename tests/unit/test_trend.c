/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reference values: Mann and Kendall (1975) with ties, Hamed and Rao (1998), Sen (1968), worked out apart. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "verdicts/trend.h"

static double x[TREND_POINTS], y[TREND_POINTS];

static void fill_x(void)
{
    for (int i = 0; i < TREND_POINTS; i++)
        x[i] = i;
}

TestSuite(trend, .init = fill_x);

Test(trend, a_rise_with_noise)
{
    static const double values[] = {5, 3, 8, 6, 9, 7, 12, 10, 11, 15, 13, 14};
    struct trend trend = trend_of(x, values, 12);
    cr_expect_float_eq(trend.z, 3.36005, 1e-4);
    cr_expect_float_eq(trend.slope.estimate, 1, 1e-9);
    cr_expect_lt(trend.slope.low, 1);
    cr_expect_gt(trend.slope.low, 0, "the trend is certain");
    cr_expect_gt(trend.slope.high, 1);
}

Test(trend, ties)
{
    static const double values[] = {1, 1, 2, 2, 2, 3, 3, 4};
    struct trend trend = trend_of(x, values, 8);
    cr_expect_float_eq(trend.z, 2.84811, 1e-4);
    cr_expect_float_eq(trend.slope.estimate, 0.4, 1e-9);
}

Test(trend, waves_are_no_evidence)
{
    for (int i = 0; i < 40; i++)
        y[i] = round(1000 * 10 * sin(i / 5.0)) / 1000;
    cr_expect_float_eq(trend_of(x, y, 40).z, -0.57607, 1e-4, "%f", trend_of(x, y, 40).z);
}

Test(trend, downwards)
{
    for (int i = 0; i < 64; i++)
        y[i] = -3 * i;
    struct trend trend = trend_of(x, y, 64);
    cr_expect_lt(trend.z, -9);
    cr_expect_float_eq(trend.slope.low, -3, 1e-9);
    cr_expect_float_eq(trend.slope.high, -3, 1e-9);
}

Test(trend, nothing_to_see)
{
    struct trend trend = trend_of(x, y, 64);
    cr_expect_eq(trend.z, 0);
    cr_expect_eq(trend.slope.estimate, 0);
    for (size_t count = 0; count < 4; count++)
        cr_expect_eq(trend_of(x, x, count).z, 0);
}

Test(trend, work_that_stands_still)
{
    static const double still[8], values[] = {1, 2, 3, 4, 5, 6, 7, 8};
    cr_expect_eq(trend_of(still, values, 8).slope.estimate, 0);
}

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median_slope(size_t count)
{
    double slopes[TREND_POINTS * TREND_POINTS];
    size_t pairs = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++)
            slopes[pairs++] = (y[k] - y[i]) / (x[k] - x[i]);
    qsort(slopes, pairs, sizeof(*slopes), ascending);
    return (slopes[(pairs - 1) / 2] + slopes[pairs / 2]) / 2;
}

Test(trend, the_slope_is_the_median_of_all)
{
    unsigned state = 1;
    for (unsigned limit = 1; limit < 100000; limit *= 3)
        for (size_t count = 4; count <= TREND_POINTS; count++) {
            for (size_t i = 0; i < count; i++)
                y[i] = (state = state * 1103515245 + 12345) / 65536 % limit; /* many ties, then few */
            struct trend trend = trend_of(x, y, count);
            cr_assert_float_eq(trend.slope.estimate, median_slope(count), 1e-9);
            cr_assert_leq(trend.slope.low, trend.slope.estimate);
            cr_assert_geq(trend.slope.high, trend.slope.estimate);
            cr_assert_eq(trend_z(x, y, count), trend.z);
        }
}
