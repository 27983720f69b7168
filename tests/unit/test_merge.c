/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order of events, their threads, and what a pass costs. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "read/merge.h"
#include "read/trace.h"
#include "sample.h"

struct pass {
    struct trace *trace;
    struct merge *merge;
    struct stray_event event;
    uint32_t lane, thread;
};

static struct pass begin(struct trace_writer *writer)
{
    struct pass pass = {0};
    writer_save(writer, sample_path("a.stray"));
    cr_assert_eq(trace_open(sample_path("a.stray"), &pass.trace, NULL), 0);
    cr_assert_eq(merge_open(pass.trace, &pass.merge, NULL), 0);
    return pass;
}

static bool next(struct pass *pass)
{
    int result = merge_next(pass->merge, &pass->event, &pass->lane, &pass->thread);
    cr_assert_geq(result, 0);
    return result == 1;
}

static void end(struct pass *pass, struct trace_writer *writer)
{
    merge_close(pass->merge);
    trace_close(pass->trace);
    writer_free(writer);
}

static void put(struct trace_writer *writer, uint32_t lane, uint64_t time, uint64_t handle)
{
    writer_put(writer, lane, time, STRAY_OPEN, STRAY_HEAP, STRAY_HOOK_malloc, handle, 0, 0);
}

Test(merge, orders_lanes_by_time)
{
    struct trace_writer *writer = writer_new();
    for (uint64_t i = 0; i < 10000; i++)
        put(writer, (uint32_t)(i * 7 % 5), 1000 + i, i);
    writer_flush(writer);
    struct pass pass = begin(writer);
    for (uint64_t i = 0; i < 10000; i++) {
        cr_assert(next(&pass));
        cr_assert_eq(pass.event.handle, i);
        cr_assert_eq(pass.lane, i * 7 % 5);
    }
    cr_assert_not(next(&pass));
    cr_assert_not(next(&pass), "the end stays the end");
    end(&pass, writer);
}

Test(merge, equal_times_keep_lane_then_position)
{
    struct trace_writer *writer = writer_new();
    static const uint32_t lanes[] = {9, 2, 2, 9, 0};
    for (unsigned i = 0; i < 5; i++)
        put(writer, lanes[i], 50, i);
    writer_flush(writer);
    put(writer, 2, 50, 5);
    writer_flush(writer);
    struct pass pass = begin(writer);
    static const uint64_t expected[] = {4, 1, 2, 5, 0, 3};
    for (unsigned i = 0; i < 6; i++) {
        cr_assert(next(&pass));
        cr_assert_eq(pass.event.handle, expected[i]);
    }
    end(&pass, writer);
}

Test(merge, sorts_within_a_frame_and_keeps_equals)
{
    struct trace_writer *writer = writer_new();
    for (uint64_t i = 0; i < 1000; i++)
        put(writer, 0, 100 + (i * 617 % 1000) / 4, i);
    writer_flush(writer);
    struct pass pass = begin(writer);
    uint64_t time = 0, handle = 0;
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert(next(&pass));
        cr_assert(pass.event.time > time || (pass.event.time == time && pass.event.handle > handle));
        time = pass.event.time;
        handle = pass.event.handle;
    }
    cr_assert_not(next(&pass));
    end(&pass, writer);
}

Test(merge, frames_of_one_lane_may_overlap_and_stand_in_any_order)
{
    struct trace_writer *writer = writer_new();
    struct stray_event events[3][2] = {0};
    for (unsigned i = 0; i < 3; i++)
        for (unsigned j = 0; j < 2; j++)
            events[i][j] =
                (struct stray_event){.time = 10 + i + 5 * j, .handle = 10 + i + 5 * j, .action = STRAY_OPEN};
    writer_events_frame(writer, 0, 2, events[2], 2);
    writer_events_frame(writer, 0, 0, events[0], 2);
    writer_events_frame(writer, 0, 1, events[1], 2);
    struct pass pass = begin(writer);
    static const uint64_t expected[] = {10, 11, 12, 15, 16, 17};
    for (unsigned i = 0; i < 6; i++) {
        cr_assert(next(&pass));
        cr_assert_eq(pass.event.time, expected[i]);
    }
    end(&pass, writer);
}

Test(merge, owners_name_the_thread)
{
    struct trace_writer *writer = writer_new();
    put(writer, 0, 1, 0);
    writer_put(writer, 0, 2, STRAY_OWNER, 0, 0, 501, 0, 0);
    put(writer, 0, 3, 0);
    writer_put(writer, 1, 3, STRAY_OWNER, 0, 0, 502, 0, 0);
    writer_flush(writer);
    put(writer, 0, 4, 0);
    writer_put(writer, 0, 5, STRAY_OWNER, 0, 0, 503, 0, 0);
    put(writer, 1, 6, 0);
    put(writer, 0, 7, 0);
    writer_flush(writer);
    struct pass pass = begin(writer);
    static const uint32_t expected[] = {0, 501, 501, 502, 501, 503, 502, 503};
    for (unsigned i = 0; i < 8; i++) {
        cr_assert(next(&pass));
        cr_assert_eq(pass.thread, expected[i], "event %u", i);
    }
    end(&pass, writer);
}

Test(merge, two_passes_do_not_disturb_each_other)
{
    struct trace_writer *writer = writer_new();
    for (uint64_t i = 0; i < 3000; i++)
        put(writer, i % 3, i + 1, i);
    writer_flush(writer);
    struct pass pass = begin(writer), second = pass;
    cr_assert_eq(merge_open(pass.trace, &second.merge, NULL), 0);
    for (uint64_t i = 0; i < 3000; i++) {
        cr_assert(next(&pass));
        cr_assert_eq(pass.event.handle, i);
        if (i % 2) {
            cr_assert(next(&second));
            cr_assert_eq(second.event.handle, i / 2);
        }
    }
    merge_close(second.merge);
    end(&pass, writer);
}

Test(merge, an_unwritten_event_does_not_exist)
{
    struct trace_writer *writer = writer_new();
    put(writer, 0, 1, 10);
    writer_put(writer, 0, 2, 0, STRAY_HEAP, 1, 11, 0, 0);
    put(writer, 0, 3, 12);
    writer_flush(writer);
    struct pass pass = begin(writer);
    cr_assert(next(&pass));
    cr_assert_eq(pass.event.handle, 10);
    cr_assert(next(&pass));
    cr_assert_eq(pass.event.handle, 12);
    cr_assert_not(next(&pass));
    end(&pass, writer);
}

Test(merge, an_empty_trace_has_no_events)
{
    struct trace_writer *writer = writer_new();
    struct pass pass = begin(writer);
    cr_assert_not(next(&pass));
    end(&pass, writer);
}

/* ---- long traces: more frames than the index looks at together ---- */

#define MANY 12000

static void put_frame(struct trace_writer *writer, uint32_t lane, uint64_t sequence, uint64_t first, uint64_t last)
{
    const struct stray_event events[] = {
        {.time = first, .handle = first, .action = STRAY_OPEN, .resource = STRAY_HEAP, .hook = STRAY_HOOK_malloc},
        {.time = last, .handle = last, .action = STRAY_OPEN, .resource = STRAY_HEAP, .hook = STRAY_HOOK_malloc}};
    writer_events_frame(writer, lane, sequence, events, first == last ? 1 : 2);
}

/* Counts the events, which must come in the order of time. */
static unsigned count_all(struct pass *pass)
{
    uint64_t before = 0;
    unsigned count = 0;
    for (; next(pass); count++) {
        cr_assert_geq(pass->event.time, before);
        cr_assert_eq(pass->event.time, pass->event.handle);
        before = pass->event.time;
    }
    return count;
}

Test(merge, frames_that_stand_far_behind_their_time)
{
    struct trace_writer *writer = writer_new();
    for (uint64_t i = 0; i < MANY; i++) {
        put_frame(writer, 3, i, 100 + 10 * i, 100 + 10 * i);
        if (i % 5000 == 4999) /* a lane that took so long to be full */
            put_frame(writer, 1, i / 5000, 100 + 10 * (i - 4998) + 5, 100 + 10 * i + 5);
    }
    put_frame(writer, 2, 0, 1, 7);
    struct pass pass = begin(writer);
    cr_expect_eq(count_all(&pass), MANY + 2 * 2 + 2);
    cr_expect_eq(trace_damage(pass.trace)->frames_missing, 0);
    end(&pass, writer);
}

Test(merge, frames_that_are_written_anew_far_behind)
{
    struct trace_writer *writer = writer_new();
    put_frame(writer, 1, 0, 50, 50);
    put_frame(writer, 1, 1, 60, 70);
    for (uint64_t i = 0; i < MANY; i++)
        put_frame(writer, 3, i, 100 + 10 * i, 100 + 10 * i);
    put_frame(writer, 1, 0, 50, 55); /* holds more */
    put_frame(writer, 1, 1, 60, 60); /* holds less */
    struct pass pass = begin(writer);
    cr_expect_eq(count_all(&pass), MANY + 2 + 2);
    cr_expect_eq(trace_damage(pass.trace)->frames_missing, 0);
    end(&pass, writer);
}

Test(merge, damage_in_a_long_trace)
{
    struct trace_writer *writer = writer_new();
    size_t places[] = {0, 0, 0};
    for (uint64_t i = 0; i < MANY; i++) {
        put_frame(writer, (uint32_t)(i % 2), i / 2, 100 + 10 * i, 100 + 10 * i);
        if (i % 5000 == 2500)
            places[i / 5000] = writer->frames.size;
    }
    for (unsigned i = 0; i < 3; i++)
        writer->frames.data[places[i] + 60] ^= 0xff;
    struct pass pass = begin(writer);
    cr_expect_eq(count_all(&pass), MANY - 3);
    cr_expect_eq(trace_damage(pass.trace)->frames_damaged, 3);
    cr_expect_eq(trace_damage(pass.trace)->frames_missing, 3);
    end(&pass, writer);
}

Test(merge, the_clock_is_found_however_far)
{
    struct trace_writer *writer = writer_new();
    writer->header.clock_kind = STRAY_CLOCK_TSC;
    writer_put(writer, 0, 100, STRAY_CLOCK_PAIR, 0, 0, 1000, 5000, 0);
    writer_put(writer, 0, 200, STRAY_CLOCK_PAIR, 0, 0, 1400, 5400, 0);
    writer_flush(writer);
    for (uint64_t i = 1; i < MANY; i++)
        put_frame(writer, 0, i, 200 + 10 * i, 200 + 10 * i);
    struct pass pass = begin(writer);
    cr_expect_float_eq(trace_span_seconds(pass.trace, 1000), 4000e-9, 1e-12);
    end(&pass, writer);
}

/* What a reader that is ahead has decoded is freed, too. */
Test(merge, may_be_left_early)
{
    struct trace_writer *writer = writer_new();
    for (uint64_t i = 0; i < MANY; i++)
        put_frame(writer, (uint32_t)(i % 7), i / 7, 100 + 10 * i, 100 + 10 * i);
    struct pass pass = begin(writer);
    for (unsigned i = 0; i < 1000; i++)
        cr_assert(next(&pass));
    end(&pass, writer);
}
