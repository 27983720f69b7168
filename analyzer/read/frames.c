/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is missing between the frames of a trace, and what each one holds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "read/columns.h"
#include "read/frame.h"
#include "read/inside.h"

static int compare_lane(const void *left, const void *right)
{
    const struct spool_lane *a = left, *b = right;
    return a->lane < b->lane ? -1 : a->lane > b->lane;
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

static void count_gaps(struct trace *trace, uint32_t lane, uint64_t missing, uint64_t largest)
{
    uint64_t expected = spool_expects(trace->spool, lane);
    trace->damage.frames_missing += missing;
    if (expected > largest)
        trace->damage.frames_missing += expected - 1 - largest;
}

static void count_missing(struct trace *trace)
{
    const struct numbers *numbers = &trace->index.numbers;
    for (size_t at = 0, next; at < numbers->spans.count; at = next) {
        uint32_t lane = numbers->spans.items[at].lane;
        uint64_t missing, largest;
        next = numbers_missing(numbers, at, &missing, &largest);
        if (lane != STRAY_LANE_LATE)
            count_gaps(trace, lane, missing, largest);
    }
}

/* Lanes that only the spool knows: they have emptied buffers, but no frame. */
static void count_missing_lanes(struct trace *trace)
{
    const struct spool *spool = trace->spool;
    for (size_t i = 0; spool && i < spool->lane_count; i++)
        if (!numbers_has_lane(&trace->index.numbers, spool->lanes[i].lane))
            trace->damage.frames_missing += spool->lanes[i].sequence;
}

int frames_settle(struct trace *trace)
{
    if (trace->spool && trace->spool->lane_count > 1)
        qsort(trace->spool->lanes, trace->spool->lane_count, sizeof(*trace->spool->lanes), compare_lane);
    int result = index_settle(trace);
    if (result < 0)
        return result;
    count_missing(trace);
    count_missing_lanes(trace);
    const struct frame_list *strays = &trace->index.strays;
    for (size_t i = 0; i < strays->count; i++)
        if (strays->items[i].spooled)
            trace->damage.events_recovered += strays->items[i].count;
    return 0;
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

static void note_events(struct trace *trace, const struct frame_info *frame, const struct stray_event *events)
{
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
    if (frame->type == STRAY_FRAME_GROUPED)
        return grouped_decode(unpacker->plain, frame->plain_size, frame->count, frame->first_time, frame->last_time,
                              events);
    return events_decode(unpacker->plain, frame->plain_size, frame->count, frame->first_time, frame->last_time,
                         events);
}

int frame_decode(const struct trace *trace, const struct frame_info *frame, struct unpacker *unpacker,
                 struct stray_event *events)
{
    int result = 0;
    if (frame->unreadable)
        result = -EBADMSG;
    else if (frame->spooled)
        memcpy(events, frame->spooled, frame->count * sizeof(*events));
    else
        result = decode_stored(trace, frame, unpacker, events);
    return result < 0 ? result : events_sort(events, frame->count);
}

static void count_damaged(struct trace *trace, const struct frame_info *frame)
{
    trace->damage.frames_damaged++;
    if (!frame->spooled)
        damage_at(&trace->damage, frame->payload - sizeof(struct stray_frame_header));
    trace_assess(trace);
}

int trace_note(struct trace *trace, const struct frame_info *frame, int result, const struct stray_event *events)
{
    if (result == -ENOMEM)
        return result;
    if (index_note(&trace->index, frame)) {
        if (result == 0)
            note_events(trace, frame, events);
        else
            count_damaged(trace, frame);
    }
    return result < 0 ? -EBADMSG : 0;
}

int trace_load(struct trace *trace, const struct frame_info *frame, struct stray_event **ret_events)
{
    struct stray_event *events = malloc(frame->count * sizeof(*events));
    if (!events)
        return -ENOMEM;
    int result = frame_decode(trace, frame, &trace->unpacker, events);
    result = trace_note(trace, frame, result, events);
    if (result < 0)
        free(events);
    else
        *ret_events = events;
    return result;
}

uint64_t trace_last_time(const struct trace *trace)
{
    return trace->index.last_time;
}
