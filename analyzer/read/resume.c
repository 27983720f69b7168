/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/resume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read/inside.h"
#include "read/stream.h"

void resume_free(struct resume *resume)
{
    for (size_t i = 0; i < resume->frame_count; i++)
        free(resume->frames[i].events);
    free(resume->frames);
    free(resume->lanes);
    *resume = (struct resume){0};
}

const struct resume_frame *resume_find(const struct resume *resume, uint32_t lane, uint64_t sequence)
{
    for (size_t i = 0; i < resume->frame_count; i++)
        if (resume->frames[i].lane == lane && resume->frames[i].sequence == sequence)
            return &resume->frames[i];
    return NULL;
}

/* Events that do not exist are none. */
static uint32_t keep_early(struct stray_event *events, uint32_t count, uint64_t until)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count && events[i].time <= until; i++)
        if (events[i].action != 0)
            events[kept++] = events[i];
    return kept;
}

/* Whether a frame that was not in the file then begins with what the spool had of it. Counts those that do. */
static int is_same(const struct resume *resume, struct trace *trace, const struct frame_info *frame, size_t *matched)
{
    struct unpacker unpacker = {0};
    const struct resume_frame *known;
    if (frame->first_time > resume->until)
        return 1;
    known = resume_find(resume, frame->lane, frame->sequence);
    if (!known || !known->events)
        return 0;
    struct stray_event *events = malloc(frame->count * sizeof(*events));
    if (!events)
        return -ENOMEM;
    int result = frame_decode(trace, frame, &unpacker, events);
    uint32_t count = result == 0 ? keep_early(events, frame->count, resume->until) : 0;
    bool same = result == 0 && count == known->count && memcmp(events, known->events, count * sizeof(*events)) == 0;
    free(events);
    unpacker_clear(&unpacker);
    *matched += same;
    return result == -ENOMEM ? result : same;
}

static int compare_file(const struct resume *resume, struct trace *trace, size_t *matched)
{
    const struct index *index = &trace->index;
    struct walk walk;
    struct frame_info frame;
    size_t chunk = index->chunks.count;
    int result = 1;
    while (chunk > 0 && index->chunks.items[chunk - 1] >= resume->size)
        chunk--;
    if (chunk > 0)
        walk_begin_chunk(&walk, trace, chunk - 1);
    else
        walk_begin(&walk, trace);
    while (result > 0 && walk_next(&walk, &frame)) {
        if (frame.unreadable)
            return 0;
        if (frame.payload >= resume->size && frame.count > 0 && !index_skips(index, frame.payload))
            result = is_same(resume, trace, &frame, matched);
    }
    return result;
}

int resume_holds(const struct resume *resume, struct trace *trace)
{
    size_t matched = 0, wanted = 0;
    if (trace->index.end < resume->size)
        return 0;
    int result = compare_file(resume, trace, &matched);
    for (size_t i = 0; result > 0 && i < trace->index.strays.count; i++) {
        const struct frame_info *stray = &trace->index.strays.items[i];
        if (stray->spooled || stray->payload >= resume->size)
            result = is_same(resume, trace, stray, &matched);
    }
    for (size_t i = 0; i < resume->frame_count; i++)
        wanted += resume->frames[i].events != NULL;
    return result > 0 ? matched == wanted : result;
}
