/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reference values: R 4.2, binom.confint(methods = "wilson"), poisson.test, quantile(type = 7). */
#include <criterion/criterion.h>

#include "verdicts/stats.h"

static void near(struct interval interval, double estimate, double low, double high)
{
    cr_expect_float_eq(interval.estimate, estimate, 1e-4);
    cr_expect_float_eq(interval.low, low, 1e-4, "low %.5f, not %.5f", interval.low, low);
    cr_expect_float_eq(interval.high, high, 1e-4, "high %.5f, not %.5f", interval.high, high);
}

Test(stats, shares)
{
    near(stats_share(0, 0), 0, 0, 1);
    near(stats_share(93, 93), 1, 0.96033, 1);
    near(stats_share(0, 10), 0, 0, 0.27753);
    near(stats_share(5, 20), 0.25, 0.11186, 0.46870);
}

Test(stats, rates)
{
    near(stats_rate(0, 1), 0, 0, 3.68888);
    near(stats_rate(1, 1), 1, 0.02532, 5.57164);
    near(stats_rate(10, 2), 5, 2.39770, 9.19518);
    near(stats_rate(100, 1), 100, 81.36397, 121.62677);
}

Test(stats, rates_of_many_are_close_to_exact)
{
    struct interval interval = stats_rate(1000, 1);
    cr_expect_float_eq(interval.low, 938.97, 0.05);
    cr_expect_float_eq(interval.high, 1063.96, 0.05);
}

/* Of one weight they are rates, scaled: the exact interval of 100 is that of the reference. */
Test(stats, weighted)
{
    near(stats_weighted(0, 0), 0, 0, 0);
    struct interval interval = stats_weighted(100 * 55.0, 100 * 55.0 * 55.0);
    cr_expect_float_eq(interval.estimate, 5500, 1e-9);
    cr_expect_float_eq(interval.low, 55 * 81.36397, 5);
    cr_expect_float_eq(interval.high, 55 * 121.62677, 5);
    near(stats_weighted(12, 0), 12, 12, 12);
    near(stats_unmet(1), 0, 0, 0);
    near(stats_unmet(2), 0, 0, 5.32193);
    cr_expect_float_eq(stats_unmet(1e6).high, 3.688879 * 1e6, 10);
    interval = stats_weighted(1, 1);
    cr_expect(interval.low >= 0 && interval.low < 0.1);
    cr_expect_float_eq(interval.high, 5.57164, 0.05);
}

Test(stats, quantiles)
{
    double values[] = {4, 1, 3, 2};
    cr_expect_float_eq(stats_quantile(values, 4, 0.5), 2.5, 1e-9);
    cr_expect_float_eq(stats_quantile(values, 4, 0.95), 3.85, 1e-9);
    cr_expect_float_eq(stats_quantile(values, 4, 1), 4, 1e-9);
    cr_expect_float_eq(stats_quantile(values, 1, 0.5), 1, 1e-9);
    cr_expect_float_eq(stats_quantile(values, 0, 0.5), 0, 1e-9);
}
