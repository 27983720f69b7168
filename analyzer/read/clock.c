/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told from single events before the pass over all of them: the clock's rate, and the process's end.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "read/inside.h"
#include "read/stream.h"

/* Decodes a frame only for what trace_load() notes of it. Damage is counted there and is no failure here. */
static int look_at(struct trace *trace, const struct frame_info *frame)
{
    struct stray_event *events;
    int result = trace_load(trace, frame, &events);
    if (result == 0)
        free(events);
    return result == -ENOMEM ? result : 0;
}

static int compare_latest(const void *left, const void *right)
{
    const struct frame_info *a = left, *b = right;
    if (a->last_time != b->last_time)
        return a->last_time < b->last_time ? 1 : -1;
    return frame_compare(b, a);
}

/* The process record is a clock pair as well: the first one. */
static void begin_with_process(struct trace *trace)
{
    const struct stray_def_process *identity = trace->defs.identity;
    if (identity && identity->start_time && identity->start_monotonic_ns)
        trace->first_pair = (struct clock_pair){identity->start_time, identity->start_monotonic_ns, true};
}

static int gather_chunk(const struct trace *trace, size_t chunk, struct frame_list *list)
{
    struct walk walk;
    struct frame_info frame;
    int result = 0;
    walk_begin_chunk(&walk, trace, chunk);
    for (unsigned i = 0; result == 0 && i < INDEX_CHUNK && walk_next(&walk, &frame); i++)
        if (frame.count > 0 && !index_skips(&trace->index, frame.payload))
            result = frame_list_add(list, &frame);
    return result;
}

/* Of these frames, the latest first. */
static int look_for_pair(struct trace *trace, struct frame_list *list)
{
    int result = 0;
    if (list->count > 1)
        qsort(list->items, list->count, sizeof(*list->items), compare_latest);
    for (size_t i = 0; i < list->count && !trace->last_pair.known && result == 0; i++)
        result = look_at(trace, &list->items[i]);
    list->count = 0;
    return result;
}

/* From the end of the file back, as far as it takes. */
static int find_last_pair(struct trace *trace)
{
    const struct index *index = &trace->index;
    struct frame_list list = {0};
    int result = 0;
    for (size_t i = 0; result == 0 && i < index->strays.count; i++)
        result = frame_list_add(&list, &index->strays.items[i]);
    for (size_t chunk = index->chunks.count; result == 0 && chunk-- > 0 && !trace->last_pair.known;) {
        result = gather_chunk(trace, chunk, &list);
        if (result == 0)
            result = look_for_pair(trace, &list);
    }
    if (result == 0 && !trace->last_pair.known)
        result = look_for_pair(trace, &list); /* there is only the spool */
    free(list.items);
    return result;
}

/* Where there is no process record the search goes on from the front, but not into what the search from the
 * back has seen. */
static int find_first_pair(struct trace *trace)
{
    struct stream stream;
    struct frame_info frame;
    int result = 1;
    stream_open(&stream, trace);
    while (result > 0 && !(trace->first_pair.known && trace->first_pair.time < trace->last_pair.time) &&
           (result = stream_next(&stream, &frame)) > 0)
        if (!index_noted(&trace->index, &frame) && look_at(trace, &frame) < 0)
            result = -ENOMEM;
    stream_close(&stream);
    return result < 0 ? result : 0;
}

int trace_calibrate(struct trace *trace)
{
    trace->ns_per_tick = 1;
    if (trace->header.clock_kind == STRAY_CLOCK_NS && !trace->damage.header_damaged)
        return 0;
    begin_with_process(trace);
    int result = find_last_pair(trace);
    if (result == 0 && trace->last_pair.known)
        result = find_first_pair(trace);
    const struct clock_pair *first = &trace->first_pair, *last = &trace->last_pair;
    if (first->known && last->known && last->time > first->time && last->monotonic_ns > first->monotonic_ns)
        trace->ns_per_tick =
            (double)(last->monotonic_ns - first->monotonic_ns) / (double)(last->time - first->time);
    return result;
}

static int look_at_new(struct trace *trace, const struct frame_info *frame)
{
    return frame->count == 0 || index_noted(&trace->index, frame) ? 0 : look_at(trace, frame);
}

static int look_at_late(struct trace *trace)
{
    const struct frame_list *strays = &trace->index.strays;
    struct walk walk;
    struct frame_info frame;
    int result = 0;
    if (!numbers_has_lane(&trace->index.numbers, STRAY_LANE_LATE))
        return 0;
    walk_begin(&walk, trace);
    while (result == 0 && walk_next(&walk, &frame))
        if (frame.lane == STRAY_LANE_LATE && !index_skips(&trace->index, frame.payload))
            result = look_at_new(trace, &frame);
    for (size_t i = 0; result == 0 && i < strays->count; i++)
        if (strays->items[i].lane == STRAY_LANE_LATE)
            result = look_at_new(trace, &strays->items[i]);
    return result;
}

/* The END event stands in the last frame of its lane, or came late. */
int trace_find_end(struct trace *trace)
{
    const struct frame_list *newest = &trace->index.newest;
    int result = look_at_late(trace);
    for (size_t i = 0; result == 0 && i < newest->count; i++)
        result = look_at_new(trace, &newest->items[i]);
    return result;
}

double trace_span_seconds(const struct trace *trace, uint64_t ticks)
{
    return (double)ticks * trace->ns_per_tick / 1e9;
}

double trace_seconds(const struct trace *trace, uint64_t time)
{
    int64_t ticks = (int64_t)(time - trace->process.start_time);
    return ticks < 0 ? -trace_span_seconds(trace, 0 - (uint64_t)ticks)
                     : trace_span_seconds(trace, (uint64_t)ticks);
}
