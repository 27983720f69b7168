/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The axes on which lives are placed: work, told at once or in sums, and the marks that stand on it. */
#include <criterion/criterion.h>

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

TestSuite(work, .init = begin, .fini = end);

/* ---- memory and work ---- */

Test(work, memory_is_sampled_with_the_heap_of_that_moment)
{
    feed_event(&feed, STRAY_MEMORY, 0, 1 << 20, 4096, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 500, 1);
    feed_event(&feed, STRAY_MEMORY, 0, 3 << 20, 8192, 0);
    cr_expect_eq(feed.lives->memory.first_rss, 1 << 20);
    cr_expect_eq(feed.lives->memory.last_rss, 3 << 20);
    cr_expect_eq(feed.lives->memory.last_heap - feed.lives->memory.first_heap, 500);
    cr_expect_eq(feed.lives->memory.last_tracer, 8192);
}

/* ---- the axis ---- */

Test(work, requests_are_the_axis_where_there_are_any)
{
    for (uint64_t i = 0; i < 40; i++) {
        feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 10, 7, 1);
        feed_event(&feed, STRAY_CLOSE, STRAY_CONNECTION, 10, 0, BY_CLOSE);
    }
    feed_finish(&feed);
    cr_expect_eq(feed.lives->axis, AXIS_REQUESTS);
    cr_expect_eq(feed.lives->at_tc.at[AXIS_REQUESTS], 40);
}

Test(work, else_statements_else_allocations)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 1, 1);
    feed_pg_connect(&feed, 0x1000, 3, 1);
    for (uint64_t i = 0; i < 40; i++)
        feed_pg_use(&feed, 0x1000);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->axis, AXIS_STATEMENTS);
    feed_close_all(&feed);
    feed_open(&feed);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 1, 1);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->axis, AXIS_ALLOCATIONS);
}

/* What was done while a buffer filled up is told at its end, site by site and octave by octave. */
Test(work, sums_are_spread_over_the_time_they_came_from)
{
    for (uint64_t batch = 1; batch <= 2; batch++) {
        feed.since = feed.now;
        for (uint64_t i = 0; i < 500; i++) {
            feed_wait(&feed, 2 * MS);
            feed_event(&feed, STRAY_OPEN, STRAY_HEAP, (batch << 32) + i * 16, 1, 1);
        }
        for (uint64_t octave = 10; octave < 15; octave++) {
            feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 10000 | octave << 56, 0, 2);
            feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 10000 | octave << 56, 0, 3);
        }
    }
    feed_finish(&feed);
    const struct marks *marks = &feed.lives->marks;
    cr_expect_eq(feed.lives->at_tc.at[AXIS_ALLOCATIONS], 201000);
    for (uint64_t quarter = 1; quarter < 4; quarter++) {
        const struct mark *mark = marks_at(marks, (uint32_t)(marks->current * quarter / 4));
        cr_expect_float_eq((double)mark->at[AXIS_ALLOCATIONS], 50250.0 * (double)quarter, 1000, "%lu",
                           (unsigned long)mark->at[AXIS_ALLOCATIONS]);
    }
}

Test(work, sums_stay_spread_when_marks_merge)
{
    for (uint64_t i = 1; i <= 100000; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
        if (i % 20000 == 0) {
            feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 900000 | UINT64_C(12) << 56, 0, 2);
            feed.since = feed.now;
        }
    }
    feed_finish(&feed);
    const struct mark *middle = marks_at(&feed.lives->marks, feed.lives->marks.current / 2);
    cr_expect_eq(feed.lives->marks.shift, 1);
    cr_expect_float_eq((double)feed.lives->at_tc.at[AXIS_ALLOCATIONS], 4600000, 10);
    cr_expect_float_eq((double)middle->at[AXIS_ALLOCATIONS], 2300000, 5000, "%lu",
                       (unsigned long)middle->at[AXIS_ALLOCATIONS]);
}

static void expect_steady_work(double all)
{
    feed_finish(&feed);
    const struct marks *marks = &feed.lives->marks;
    cr_expect_float_eq((double)feed.lives->at_tc.at[AXIS_ALLOCATIONS], all, 1);
    for (uint64_t quarter = 1; quarter < 4; quarter++) {
        const struct mark *mark = marks_at(marks, (uint32_t)(marks->current * quarter / 4));
        cr_expect_float_eq((double)mark->at[AXIS_ALLOCATIONS], all / 4 * (double)quarter, all / 50, "%lu of %g",
                           (unsigned long)mark->at[AXIS_ALLOCATIONS], all);
    }
}

/* On a fast machine buffers fill up within a mark or two: each still tells its own stretch, and none all from the start. */
Test(work, work_that_is_told_at_every_mark_is_spread_over_its_own)
{
    for (uint64_t i = 1; i <= 1000; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
        feed_event(&feed, STRAY_WORK, STRAY_RESOURCE_NONE, 0, 99, 0);
    }
    expect_steady_work(100000);
}

Test(work, sums_that_come_at_every_mark_are_spread_over_their_own)
{
    for (uint64_t i = 1; i <= 1000; i++) {
        feed.since = feed.now;
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
        feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 99 | UINT64_C(12) << 56, 0, 2);
    }
    expect_steady_work(100000);
}

/* Each sum stands where its last life ended: those of one buffer may lie far apart, and have come about since it was begun. */
Test(work, sums_of_one_buffer_have_one_beginning)
{
    feed.since = feed.now;
    for (uint64_t i = 1; i <= 1000; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
        if (i % 100 == 0)
            feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 1 | UINT64_C(12) << 56, 0, 3);
    }
    feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 99000 | UINT64_C(12) << 56, 0, 2);
    expect_steady_work(100010);
}

/* Moments are kept to some hundreds of events: what was done between two of them lies between the births there. */
Test(work, births_between_two_moments_are_spread_over_the_work)
{
    feed.since = feed.now;
    for (uint64_t i = 1; i <= 2048; i++)
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
    feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 200000 | UINT64_C(12) << 56, 0, 2);
    feed_finish(&feed);
    const struct growth *growth = feed.lives->sites[0].growth;
    cr_assert_not_null(growth);
    for (int i = 0; i < LIVES_WINDOWS; i++)
        cr_expect(growth->by_work[i] >= 16 && growth->by_work[i] <= 48, "window %d: %u", i, growth->by_work[i]);
}

/* What a thread did before its first sums were told, it did since it began. */
Test(work, the_first_work_of_a_thread_came_since_it_began)
{
    for (uint64_t i = 1; i <= 1000; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
    }
    feed.lane = 5;
    feed_event(&feed, STRAY_OWNER, STRAY_RESOURCE_NONE, 9, 0, 0);
    uint32_t began = feed.lives->marks.current;
    feed.since = feed.now;
    feed_wait(&feed, 200 * MS);
    feed_event(&feed, STRAY_WORK, STRAY_RESOURCE_NONE, 0, 5000, 0);
    feed_wait(&feed, 2 * MS);
    feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 100 | UINT64_C(12) << 56, 0, 2);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->at_tc.at[AXIS_ALLOCATIONS], 6100);
    cr_expect_eq(marks_at(&feed.lives->marks, began)->at[AXIS_ALLOCATIONS], 1000);
}

Test(work, work_beyond_all_numbers_is_the_most_there_is)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 1, 1);
    for (unsigned i = 0; i < 3; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_WORK, STRAY_RESOURCE_NONE, 0, UINT64_MAX, 0);
    }
    struct marks marks = feed.lives->marks;
    cr_expect_eq(marks_settle(&marks, AXIS_REQUESTS), UINT64_MAX);
}

Test(work, a_realloc_that_grows_is_counted)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100000, 1);
    feed_event(&feed, STRAY_RESIZE, STRAY_HEAP, 0x1000, 150000, 0);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_HEAP, 0x1000, 0, 0);
    feed_event(&feed, STRAY_MOVE_TO, STRAY_HEAP, 0x2000, 400000, 0);
    feed_event(&feed, STRAY_RESIZE, STRAY_HEAP, 0x2000, 300000, 0);
    feed_finish(&feed);
    cr_assert_not_null(feed_site(&feed, STRAY_HEAP, 1)->growth);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->growth->resized, 300000);
}

Test(work, marks_stay_in_bounds_and_true)
{
    for (uint64_t i = 1; i <= 200000; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
    }
    cr_expect_leq(feed.lives->marks.count, MARKS_LIMIT);
    const struct mark *middle = marks_at(&feed.lives->marks, feed.lives->marks.current / 2);
    cr_expect_float_eq((double)middle->at[AXIS_ALLOCATIONS], 100000, 10);
    feed_finish(&feed);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->alive, 200000);
    const struct growth *growth = feed_site(&feed, STRAY_HEAP, 1)->growth;
    cr_assert_not_null(growth);
    cr_expect_float_eq((double)growth->by_work[32], 3125.0, 10);
    cr_expect_float_eq((double)growth->by_time[32], 3125.0, 10);
}
