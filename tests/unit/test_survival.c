/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "verdicts/survival.h"

#define BUCKETS 20

static uint32_t released[BUCKETS], surviving[BUCKETS];
static double bound[BUCKETS + 1];
static struct ages ages = {released, surviving, bound, BUCKETS, 1};

/* Buckets of ten seconds. */
static void begin(void)
{
    for (int i = 0; i <= BUCKETS; i++)
        bound[i] = 10 * i;
}

TestSuite(survival, .init = begin);

Test(survival, quantiles_are_interpolated)
{
    released[0] = 50;
    released[3] = 50;
    cr_expect_float_eq(survival_quantile(&ages, 0.25), 5, 1e-9);
    cr_expect_float_eq(survival_quantile(&ages, 0.5), 10, 1e-9);
    cr_expect_float_eq(survival_quantile(&ages, 0.75), 35, 1e-9);
    cr_expect_float_eq(survival_quantile(&ages, 1), 40, 1e-9);
}

Test(survival, none_released)
{
    surviving[5] = 10;
    cr_expect_eq(survival_quantile(&ages, 0.999), 0);
    cr_expect_eq(survival_hazard(&ages, 10, 100), 0);
    cr_expect_eq(survival_share(&ages).estimate, 1);
}

/* 100 released at an age of 0 to 10, 10 at 60 to 70, 40 that live at 100 to 110:
 * 30 lived 45 seconds on beyond 20, on average, and 40 lived 85. */
Test(survival, hazard_is_releases_by_time_lived)
{
    released[0] = 100;
    released[6] = 10;
    surviving[10] = 40;
    cr_expect_float_eq(survival_hazard(&ages, 20, 200), 200 * 10 / (10 * 45.0 + 40 * 85.0), 1e-9);
    cr_expect_eq(survival_hazard(&ages, 70, 200), 0);
}

Test(survival, hazard_within_a_bucket)
{
    released[6] = 10;
    surviving[10] = 40;
    cr_expect_gt(survival_hazard(&ages, 65, 100), 0, "half of them are older");
    cr_expect_lt(survival_hazard(&ages, 65, 100), 100 * 10 / (40 * 40.0));
}

/* Without censoring before the last age it is a simple share, and Greenwood's variance that of a binomial. */
Test(survival, share_never_released)
{
    released[1] = 60;
    surviving[19] = 40;
    struct interval share = survival_share(&ages);
    double half = 1.959964 * sqrt(0.4 * 0.6 / 100);
    cr_expect_float_eq(share.estimate, 0.4, 1e-9);
    cr_expect_float_eq(share.low, 0.4 - half, 1e-5);
    cr_expect_float_eq(share.high, 0.4 + half, 1e-5);
}

/* The censored count as half at risk in their bucket: (1 - 20 / (100 - 10)) (1 - 20 / 60). */
Test(survival, the_young_are_censored)
{
    released[2] = 20;
    surviving[2] = 20;
    released[4] = 20;
    surviving[8] = 40;
    cr_expect_float_eq(survival_share(&ages).estimate, (1 - 20 / 90.0) * (1 - 20 / 60.0), 1e-9);
}

Test(survival, few_at_risk_say_nothing)
{
    released[1] = 100;
    released[5] = 10;
    surviving[7] = 9;
    cr_expect_float_eq(survival_share(&ages).estimate, 19 / 119.0, 1e-9, "the 10 at the end are left out");
}

Test(survival, releases_before_ages_were_kept_count)
{
    released[1] = 60;
    surviving[19] = 40;
    ages.unseen = 2;
    cr_expect_float_eq(survival_share(&ages).estimate, 0.25, 1e-9);
}

Test(survival, the_curve_ends_at_the_share)
{
    struct survival_step steps[BUCKETS];
    released[0] = 100;
    released[6] = 10;
    surviving[10] = 40;
    unsigned count = survival_curve(&ages, steps);
    struct interval share = survival_share(&ages);
    cr_assert_eq(count, 2, "one step for each age at which some were released");
    cr_expect_eq(steps[0].age, 10);
    cr_expect_float_eq(steps[0].share.estimate, 50 / 150.0, 1e-9);
    cr_expect_eq(steps[1].age, 70);
    cr_expect_float_eq(steps[1].share.estimate, share.estimate, 1e-9);
    cr_expect_float_eq(steps[1].share.low, share.low, 1e-9);
    cr_expect_lt(steps[1].share.estimate, steps[0].share.estimate);
}

Test(survival, no_curve_of_few)
{
    struct survival_step steps[BUCKETS];
    released[0] = 10;
    surviving[3] = 5;
    cr_expect_eq(survival_curve(&ages, steps), 0);
}
