/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told from single events before the pass over all of them: the clock's rate, and the process's end.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "read/inside.h"

/* Decodes a frame only for what trace_load() notes of it. Damage is counted there and is no failure here. */
static int look_at(struct trace *trace, size_t frame)
{
    struct stray_event *events;
    int result = trace_load(trace, frame, &events);
    if (result == 0)
        free(events);
    return result == -ENOMEM ? result : 0;
}

struct ranked {
    uint64_t time;
    size_t frame;
};

static int compare_latest(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? 1 : -1;
    return a->frame < b->frame ? 1 : -1;
}

/* The process record is a clock pair as well: the first one. */
static void begin_with_process(struct trace *trace)
{
    const struct stray_def_process *identity = trace->defs.identity;
    if (identity && identity->start_time && identity->start_monotonic_ns)
        trace->first_pair = (struct clock_pair){identity->start_time, identity->start_monotonic_ns, true};
}

static int find_last_pair(struct trace *trace)
{
    struct ranked *ranked = malloc((trace->frame_count + 1) * sizeof(*ranked));
    if (!ranked)
        return -ENOMEM;
    for (size_t i = 0; i < trace->frame_count; i++)
        ranked[i] = (struct ranked){trace->frames[i].last_time, i};
    qsort(ranked, trace->frame_count, sizeof(*ranked), compare_latest);
    int result = 0;
    for (size_t i = 0; i < trace->frame_count && !trace->last_pair.known && result == 0; i++)
        result = look_at(trace, ranked[i].frame);
    free(ranked);
    return result;
}

/* Where there is no process record the search goes on from the front, but not into what the search from the
 * back has seen. */
static int find_first_pair(struct trace *trace)
{
    int result = 0;
    for (size_t i = 0; i < trace->frame_count && result == 0; i++) {
        if (trace->first_pair.known && trace->first_pair.time < trace->last_pair.time)
            break;
        if (!trace->frames[i].counted)
            result = look_at(trace, i);
    }
    return result;
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

/* The END event stands in the last frame of its lane, or came late. */
int trace_find_end(struct trace *trace)
{
    const struct frame_info *frames = trace->frames;
    struct ranked *last = NULL; /* by lane; `time` holds the lane's number */
    size_t count = 0;
    int result = 0;
    last = malloc((trace->frame_count + 1) * sizeof(*last));
    if (!last)
        return -ENOMEM;
    for (size_t i = 0; i < trace->frame_count; i++)
        last[count++] = (struct ranked){frames[i].lane, i};
    qsort(last, count, sizeof(*last), compare_latest);
    for (size_t i = 0; i < count && result == 0; i++) {
        bool newest = i == 0 || last[i].time != last[i - 1].time;
        if ((newest || last[i].time == STRAY_LANE_LATE) && !frames[last[i].frame].counted)
            result = look_at(trace, last[i].frame);
    }
    free(last);
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
