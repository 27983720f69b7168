/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What samples stand for: of Python's objects by what they tell of themselves, of the heap by their sizes. */
#include <criterion/criterion.h>
#include <math.h>

#include "feed.h"

static struct feed feed;

static void begin(void)
{
    feed_open(&feed);
}

static void end(void)
{
    feed_close_all(&feed);
}

TestSuite(sampled_lives, .init = begin, .fini = end);

/* ---- Python's objects ---- */

static uint64_t sample_of(uint64_t weight, uint64_t size)
{
    return weight * 16 << 32 | size;
}

Test(sampled_lives, samples_are_counted_and_what_they_stand_for_is_told)
{
    feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x1000, sample_of(50, 300), 7);
    feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x2000, sample_of(100, 160), 7);
    feed_event(&feed, STRAY_ELIDED, STRAY_PYOBJECT, 3 | UINT64_C(10) << 56, 3 * sample_of(50, 300), 7);
    feed_event(&feed, STRAY_CLOSE, STRAY_PYOBJECT, 0x1000, 0, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_PYOBJECT, 300, 200, 100);
    cr_expect(feed.lives->books[STRAY_PYOBJECT].estimated);
    cr_expect_eq(feed.lives->books[STRAY_PYOBJECT].peak, 150);
    cr_expect_eq(feed.lives->books[STRAY_PYOBJECT].bytes_open, 16000);
    cr_expect_float_eq(feed.lives->books[STRAY_PYOBJECT].born.variance, 4 * 50 * 49 + 100 * 99, 1e-6);
    cr_expect_float_eq(feed.lives->books[STRAY_PYOBJECT].living.bytes_variance, 16000 * 16000 * 0.99, 1e-3);
    const struct site *place = feed_site(&feed, STRAY_PYOBJECT, 7);
    cr_expect_eq(place->opened, 5);
    cr_expect_eq(place->open, 1);
    cr_expect_eq(place->alive_bytes, 16000);
    cr_expect_float_eq(place->at_end.count, 100, 1e-9);
}

Test(sampled_lives, objects_that_are_no_samples_stand_for_themselves)
{
    feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x1000, 300, 7);
    feed_event(&feed, STRAY_RESIZE, STRAY_PYOBJECT, 0x1000, 200, 0);
    feed_event(&feed, STRAY_CLOSE, STRAY_PYOBJECT, 0x3000, 0, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_PYOBJECT, 1, 0, 1);
    cr_expect_not(feed.lives->books[STRAY_PYOBJECT].estimated);
    cr_expect_eq(feed.lives->books[STRAY_PYOBJECT].bytes_open, 200);
    cr_expect_eq(feed.lives->books[STRAY_PYOBJECT].unknown, 1);
}

/* ---- the heap ---- */

#define MEAN 65536

static void sampled(void)
{
    feed_close_all(&feed);
    feed_open_sampled(&feed, MEAN);
}

/* The reciprocal of the probability that a point lies in a block. */
static double weight(double size)
{
    return 1 / (1 - exp(-size / MEAN));
}

static void expect_estimate(const struct tally *tally, double count, double variance)
{
    cr_expect_float_eq(tally->count, count, 1e-6 * count + 1e-9, "%f, not %f", tally->count, count);
    cr_expect_float_eq(tally->variance, variance, 1e-6 * variance + 1e-9, "%f, not %f", tally->variance, variance);
}

Test(sampled_lives, heap_samples_stand_for_what_their_sizes_say)
{
    double small = weight(16), large = weight(200000);
    sampled();
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 16, 7);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x2000, 16, 7);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x3000, 200000, 7);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x2000, 0, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    const struct site *place = feed_site(&feed, STRAY_HEAP, 7);
    cr_expect(place->estimated && feed.lives->books[STRAY_HEAP].estimated);
    cr_expect_eq(place->opened, 3, "statistics rest on what was seen");
    expect_estimate(&place->born, 2 * small + large, 2 * small * (small - 1) + large * (large - 1));
    expect_estimate(&place->at_end, small + large, small * (small - 1) + large * (large - 1));
    uint64_t opened = (uint64_t)(2 * small + large + 0.5), open = (uint64_t)(small + large + 0.5);
    feed_expect(&feed, STRAY_HEAP, opened, opened - open, open);
    double tiny_bytes = 16 * small, large_bytes = 200000 * large;
    cr_expect_float_eq((double)place->alive_bytes, tiny_bytes + large_bytes, 1);
    double variance = tiny_bytes * tiny_bytes * (1 - 1 / small) + large_bytes * large_bytes * (1 - 1 / large);
    cr_expect_float_eq(place->at_end.bytes_variance, variance, 1e-4 * variance);
}

Test(sampled_lives, heap_blocks_that_are_certain_to_be_sampled_are_exact)
{
    sampled();
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, UINT64_C(10) << 30, 7);
    feed_exit(&feed);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_HEAP, 1, 0, 1);
    expect_estimate(&feed_site(&feed, STRAY_HEAP, 7)->born, 1, 0);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 7)->alive_bytes, UINT64_C(10) << 30);
}

Test(sampled_lives, heap_samples_of_no_size_count_as_one_byte)
{
    sampled();
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 0, 7);
    feed_exit(&feed);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_HEAP, (uint64_t)(weight(1) + 0.5), 0, (uint64_t)(weight(1) + 0.5));
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 7)->alive_bytes, 0);
}

/* One block that was a sample throughout, one that came to be one, one that came to be none: each counts once, as what it was
 * last. */
Test(sampled_lives, heap_samples_that_are_resized)
{
    sampled();
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100, 7);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_HEAP, 0x1000, 0, 0);
    feed_event(&feed, STRAY_MOVE_TO, STRAY_HEAP, 0x2000, 5000, 0);
    feed_event(&feed, STRAY_RESIZE, STRAY_HEAP, 0x2000, 9000, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x3000, 9000, 8);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x4000, 300, 7);
    feed_event(&feed, STRAY_LEFT, STRAY_HEAP, 0x4000, 0, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    double now = weight(9000), variance = now * (now - 1);
    expect_estimate(&feed_site(&feed, STRAY_HEAP, 7)->born, now, variance);
    expect_estimate(&feed_site(&feed, STRAY_HEAP, 7)->living, now, variance);
    expect_estimate(&feed_site(&feed, STRAY_HEAP, 8)->born, now, variance);
    feed_expect(&feed, STRAY_HEAP, (uint64_t)(2 * now + 0.5), 0, (uint64_t)(2 * now + 0.5));
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 7)->open, 1);
    cr_expect_float_eq((double)feed_site(&feed, STRAY_HEAP, 7)->alive_bytes, 9000 * now, 1);
}

/* The address of a sample that nobody saw go, or of a string that was watched, may be anybody's. */
Test(sampled_lives, releases_of_what_is_no_sample_mean_nothing)
{
    sampled();
    feed_event(&feed, STRAY_OPEN, STRAY_PGSTRING, 0x1000, 0, 7);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x1000, 0, 0);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x2000, 0, 0);
    feed_event(&feed, STRAY_LEFT, STRAY_HEAP, 0x3000, 0, 0);
    feed_event(&feed, STRAY_RESIZE, STRAY_HEAP, 0x4000, 5, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_HEAP, 0, 0, 0);
    feed_expect(&feed, STRAY_PGSTRING, 1, 1, 0);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].unknown, 0);
}

Test(sampled_lives, heap_samples_measure_the_work_but_are_no_number_of_allocations)
{
    sampled();
    for (int i = 0; i < 100; i++)
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000 + 0x100 * (uint64_t)i, 1000, 7);
    feed_exit(&feed);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->axis, AXIS_ALLOCATIONS);
    struct report *report = feed_report(&feed, false);
    cr_expect_eq(report->axis, AXIS_TIME);
    report_free(report);
}
