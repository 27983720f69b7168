/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The index of a trace's frames: which of them count, what is missing between them, and what each one holds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "read/frame.h"
#include "read/inside.h"

static int compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* Position in the file decides last, so that sorting is stable; spooled frames stand behind all others. */
static int compare_sequence(const void *left, const void *right)
{
    const struct frame_info *a = left, *b = right;
    int order = compare_u64(a->lane, b->lane);
    if (order == 0)
        order = compare_u64(a->sequence, b->sequence);
    if (order == 0)
        order = (a->spooled != NULL) - (b->spooled != NULL);
    return order ? order : compare_u64(a->payload, b->payload);
}

static int compare_time(const void *left, const void *right)
{
    const struct frame_info *a = left, *b = right;
    int order = compare_u64(a->first_time, b->first_time);
    return order ? order : compare_sequence(a, b);
}

static bool same_number(const struct frame_info *a, const struct frame_info *b)
{
    return a->lane == b->lane && a->sequence == b->sequence;
}

/* Of several frames with one number the one with most events stays, of equals the last; one from the spool
 * must hold more than all others. */
static void drop_superseded(struct trace *trace)
{
    struct frame_info *frames = trace->frames;
    size_t kept = 0;
    for (size_t i = 0; i < trace->frame_count; i++) {
        struct frame_info *best = kept ? &frames[kept - 1] : NULL;
        if (!best || !same_number(best, &frames[i]))
            frames[kept++] = frames[i];
        else if (frames[i].count > best->count || (frames[i].count == best->count && !frames[i].spooled))
            *best = frames[i];
    }
    trace->frame_count = kept;
}

static int compare_lane(const void *left, const void *right)
{
    const struct spool_lane *a = left, *b = right;
    return compare_u64(a->lane, b->lane);
}

/* The number that a lane of the spool was about to use: all below it must be there. 0 for lanes it does not
 * have. */
static uint64_t spool_expects(const struct spool *spool, uint32_t lane)
{
    struct spool_lane key = {.lane = lane};
    const struct spool_lane *found = NULL;
    if (spool && spool->lane_count > 0)
        found = bsearch(&key, spool->lanes, spool->lane_count, sizeof(key), compare_lane);
    return found ? found->sequence : 0;
}

/* `frames` are all of one lane, ascending. */
static void count_gaps(struct trace *trace, const struct frame_info *frames, size_t count)
{
    if (frames->lane == STRAY_LANE_LATE)
        return;
    uint64_t largest = frames[count - 1].sequence, expected = spool_expects(trace->spool, frames->lane);
    trace->damage.frames_missing += largest - (count - 1);
    if (expected > largest)
        trace->damage.frames_missing += expected - 1 - largest;
}

static void count_missing(struct trace *trace)
{
    const struct frame_info *frames = trace->frames;
    for (size_t i = 0, end; i < trace->frame_count; i = end) {
        for (end = i + 1; end < trace->frame_count && frames[end].lane == frames[i].lane; end++)
            ;
        count_gaps(trace, frames + i, end - i);
    }
}

/* Lanes that only the spool knows: they have emptied buffers, but no frame. */
static void count_missing_lanes(struct trace *trace)
{
    const struct spool *spool = trace->spool;
    size_t frame = 0;
    for (size_t i = 0; spool && i < spool->lane_count; i++) {
        while (frame < trace->frame_count && trace->frames[frame].lane < spool->lanes[i].lane)
            frame++;
        if (frame == trace->frame_count || trace->frames[frame].lane != spool->lanes[i].lane)
            trace->damage.frames_missing += spool->lanes[i].sequence;
    }
}

static void drop_empty(struct trace *trace)
{
    size_t kept = 0;
    for (size_t i = 0; i < trace->frame_count; i++)
        if (trace->frames[i].count > 0)
            trace->frames[kept++] = trace->frames[i];
    trace->frame_count = kept;
}

void frames_settle(struct trace *trace)
{
    if (trace->spool && trace->spool->lane_count > 1)
        qsort(trace->spool->lanes, trace->spool->lane_count, sizeof(*trace->spool->lanes), compare_lane);
    if (trace->frame_count > 1)
        qsort(trace->frames, trace->frame_count, sizeof(*trace->frames), compare_sequence);
    drop_superseded(trace);
    count_missing(trace);
    count_missing_lanes(trace);
    drop_empty(trace);
    for (size_t i = 0; i < trace->frame_count; i++)
        if (trace->frames[i].spooled)
            trace->damage.events_recovered += trace->frames[i].count;
    if (trace->frame_count > 1)
        qsort(trace->frames, trace->frame_count, sizeof(*trace->frames), compare_time);
}

static int reserve(uint8_t **scratch, size_t *room, size_t size)
{
    if (size <= *room)
        return 0;
    uint8_t *grown = realloc(*scratch, size);
    if (!grown)
        return -ENOMEM;
    *scratch = grown;
    *room = size;
    return 0;
}

int unpack(struct unpacker *unpacker, const struct source *source, uint64_t payload, uint8_t codec,
           uint32_t stored_size, uint32_t plain_size)
{
    if (reserve(&unpacker->stored, &unpacker->stored_room, stored_size) < 0 ||
        reserve(&unpacker->plain, &unpacker->plain_room, plain_size) < 0)
        return -ENOMEM;
    if (!unpacker->zstd && !(unpacker->zstd = ZSTD_createDCtx()))
        return -ENOMEM;
    if (source_read(source, payload, unpacker->stored, stored_size) < 0)
        return -EBADMSG;
    return frame_unpack(unpacker->zstd, codec, unpacker->stored, stored_size, unpacker->plain, plain_size);
}

void unpacker_clear(struct unpacker *unpacker)
{
    ZSTD_freeDCtx(unpacker->zstd);
    free(unpacker->stored);
    free(unpacker->plain);
    *unpacker = (struct unpacker){0};
}

/* Remembers what the trace as a whole wants to know of an event. */
static void note_event(struct trace *trace, const struct stray_event *event)
{
    switch (event->action) {
    case STRAY_LOST:
        if (__builtin_add_overflow(trace->lost_in_events, event->value, &trace->lost_in_events))
            trace->lost_in_events = UINT64_MAX;
        break;
    case STRAY_CLOCK_PAIR:
        if (!trace->first_pair.known || event->time < trace->first_pair.time)
            trace->first_pair = (struct clock_pair){event->time, event->handle, true};
        if (!trace->last_pair.known || event->time > trace->last_pair.time)
            trace->last_pair = (struct clock_pair){event->time, event->handle, true};
        break;
    case STRAY_END:
    case STRAY_EXEC:
    case STRAY_EXEC_FAILED: /* the exec that was the end did not happen */
        if (event->time >= trace->verdict_time) {
            trace->verdict_time = event->time;
            trace->ended = event->action != STRAY_EXEC_FAILED;
        }
        break;
    default:
        break;
    }
}

static void note_events(struct trace *trace, struct frame_info *frame, const struct stray_event *events)
{
    if (frame->counted)
        return;
    frame->counted = true;
    for (uint32_t i = 0; i < frame->count; i++)
        note_event(trace, &events[i]);
    trace_assess(trace);
}

static int decode_stored(const struct trace *trace, const struct frame_info *frame, struct unpacker *unpacker,
                         struct stray_event *events)
{
    int result = unpack(unpacker, &trace->source, frame->payload, frame->codec, frame->stored_size, frame->plain_size);
    if (result < 0)
        return result;
    return events_decode(unpacker->plain, frame->plain_size, frame->count, frame->first_time, frame->last_time,
                         events);
}

int frame_decode(const struct trace *trace, size_t index, struct unpacker *unpacker, struct stray_event *events)
{
    const struct frame_info *frame = &trace->frames[index];
    int result = 0;
    if (frame->spooled)
        memcpy(events, frame->spooled, frame->count * sizeof(*events));
    else
        result = decode_stored(trace, frame, unpacker, events);
    return result < 0 ? result : events_sort(events, frame->count);
}

static void count_damaged(struct trace *trace, struct frame_info *frame)
{
    if (frame->damaged)
        return;
    frame->damaged = true;
    trace->damage.frames_damaged++;
    trace_assess(trace);
}

int trace_note(struct trace *trace, size_t index, int result, const struct stray_event *events)
{
    struct frame_info *frame = &trace->frames[index];
    if (result == -ENOMEM)
        return result;
    if (result == 0)
        note_events(trace, frame, events);
    else
        count_damaged(trace, frame);
    return result < 0 ? -EBADMSG : 0;
}

int trace_load(struct trace *trace, size_t index, struct stray_event **ret_events)
{
    struct stray_event *events = malloc(trace->frames[index].count * sizeof(*events));
    if (!events)
        return -ENOMEM;
    int result = frame_decode(trace, index, &trace->unpacker, events);
    result = trace_note(trace, index, result, events);
    if (result < 0)
        free(events);
    else
        *ret_events = events;
    return result;
}

uint64_t trace_last_time(const struct trace *trace)
{
    uint64_t last = 0;
    for (size_t i = 0; i < trace->frame_count; i++) {
        if (trace->frames[i].last_time > last)
            last = trace->frames[i].last_time;
    }
    return last;
}
