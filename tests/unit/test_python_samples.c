/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far apart samples of Python's objects are, and what they stand for. The clock is the real one; how many of its ticks make a second
 * is what a test says. Five standard deviations, as in test_samples.c. */
#include "state/python_samples.h"

#include <criterion/criterion.h>
#include <math.h>

#include "record/clock.h"
#include "settings.h"

#define DRAWS   3000000
#define SIZE    300
#define MEAN    16384.0
#define NEVER   (UINT64_C(1) << 62) /* ticks a second: whatever is done is done in no time */
#define FOREVER 1

struct settings settings; /* which nobody has set but a test */

struct drawn {
    double samples, stands_for, variance; /* of that, (1 - p) / p^2 of each */
};

static struct drawn make(unsigned objects)
{
    struct drawn drawn = {0, 0, 0};
    for (unsigned i = 0; i < objects; i++) {
        uint64_t weight = (python_samples_line.left -= SIZE) < 0 ? python_samples_hit(SIZE) : 0;
        double objects_each = (double)weight / 16;
        drawn.samples += weight > 0;
        drawn.stands_for += objects_each;
        drawn.variance += weight > 0 ? objects_each * (objects_each - 1) : 0;
    }
    return drawn;
}

#define EARLY (5 * DRAWS) /* objects, of which some 82,000 samples are taken: after 65,536 they may be farther apart */

static void begin_at(uint64_t ticks_per_second, uint64_t heap_mean)
{
    clock_init();
    settings.sample = heap_mean;
    python_samples_init();
    clock_ticks_per_second = ticks_per_second;
}

static struct drawn begin_and_make(uint64_t ticks_per_second, uint64_t heap_mean)
{
    begin_at(ticks_per_second, heap_mean);
    return make(DRAWS);
}

static void expect_all(const struct drawn *drawn)
{
    cr_expect_leq(fabs(drawn->stands_for - DRAWS), 5 * sqrt(drawn->variance), "%.0f, not %d", drawn->stands_for, DRAWS);
}

static double samples_at(double mean)
{
    return DRAWS * -expm1(-SIZE / mean);
}

Test(python_samples, at_leisure)
{
    struct drawn drawn = begin_and_make(FOREVER, 0);
    expect_all(&drawn);
    cr_expect_leq(fabs(drawn.samples - samples_at(MEAN)), 5 * sqrt(samples_at(MEAN)));
}

Test(python_samples, in_haste_the_first_ones_are_as_near)
{
    struct drawn drawn = begin_and_make(NEVER, 0);
    expect_all(&drawn);
    cr_expect_leq(fabs(drawn.samples - samples_at(MEAN)), 5 * sqrt(samples_at(MEAN)));
}

Test(python_samples, in_haste_they_are_farther_apart_and_stand_for_more)
{
    begin_at(NEVER, 0);
    make(EARLY);
    struct drawn drawn = make(DRAWS);
    expect_all(&drawn);
    cr_expect_lt(drawn.samples, samples_at(MEAN) / 4);
    cr_expect_gt(drawn.samples, 0);
}

Test(python_samples, they_come_nearer_again)
{
    begin_at(NEVER, 0);
    make(EARLY);
    clock_ticks_per_second = FOREVER;
    make(4 * DRAWS);
    struct drawn drawn = make(DRAWS);
    expect_all(&drawn);
    cr_expect_leq(fabs(drawn.samples - samples_at(MEAN)), 5 * sqrt(samples_at(MEAN)));
}

Test(python_samples, never_farther_than_an_event_can_tell)
{
    begin_at(NEVER, UINT64_C(1) << 40);
    make(EARLY);
    struct drawn drawn = make(DRAWS);
    double expected = samples_at(1 << 26);
    cr_expect_leq(fabs(drawn.samples - expected), 5 * sqrt(expected));
}
