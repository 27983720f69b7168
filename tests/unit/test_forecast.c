/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "verdicts/forecast.h"

static void near(struct interval interval, double estimate, double low, double high)
{
    cr_expect_float_eq(interval.estimate, estimate, 1e-6, "%f", interval.estimate);
    cr_expect_float_eq(interval.low, low, 1e-6, "low %f", interval.low);
    cr_expect_float_eq(interval.high, high, 1e-6, "high %f", interval.high);
}

Test(forecast, is_what_is_left_by_the_rate)
{
    struct interval seconds, rate = {12, 10, 15};
    cr_assert(forecast(97, 94, &rate, 8 * 3600, &seconds));
    near(seconds, 900, 720, 1080);
}

Test(forecast, reaches_no_further_than_ten_times_what_was_seen)
{
    struct interval seconds, rate = {10, 1, 20};
    cr_expect_not(forecast(1000, 0, &rate, 9.9 * 3600, &seconds));
    cr_assert(forecast(1000, 0, &rate, 10 * 3600, &seconds));
    near(seconds, 100 * 3600, 50 * 3600, 100 * 3600);
}

Test(forecast, is_none_of_what_does_not_grow)
{
    struct interval seconds, none = {0, 0, 0}, falls = {-1, -2, 1};
    cr_expect_not(forecast(10, 5, &none, 3600, &seconds));
    cr_expect_not(forecast(10, 5, &falls, 3600, &seconds));
}

Test(forecast, says_so_where_the_limit_is_reached)
{
    struct interval seconds, rate = {10, 0, 20};
    cr_assert(forecast(10, 12, &rate, 3600, &seconds));
    near(seconds, 0, 0, 36000);
}

Test(forecast, rates_add_up_with_their_intervals)
{
    struct interval one = {10, 7, 14}, other = {20, 16, 23};
    near(forecast_sum(&one, &other), 30, 25, 35);
    struct interval nothing = {0, 0, 0};
    near(forecast_sum(&nothing, &one), 10, 7, 14);
}
