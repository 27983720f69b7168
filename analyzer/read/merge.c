/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read/array.h"
#include "read/inside.h"
#include "read/loader.h"
#include "read/resume.h"

/* A decoded frame and the place in it that was reached. */
struct cursor {
    uint64_t time; /* of the next event: kept here, as the heap looks at little else */
    const struct stray_event *next, *end;
    struct stray_event *events;
    struct lane *lane;
    uint64_t sequence, since;
    uint32_t count;
};

struct lane {
    uint32_t number, thread;
    uint64_t asked, asked_at; /* the PGconn of its last STATEMENT, and when that was sent */
    uint64_t latest;          /* time of its frames so far; 0: none yet */
};

struct merge {
    struct loader loader;
    struct cursor *heap; /* the cursor whose event comes first is the root */
    size_t heap_count, heap_room;
    struct lane *lanes; /* ascending */
    size_t lane_count;
    uint64_t until;              /* no later events are handed out */
    const struct resume *resumed; /* where another pass had stopped; NULL: from the beginning */
    struct resume kept;          /* frames that may come again, where this one is to stop */
    int failure; /* that ended the pass */
    size_t batch_count, handed;
    struct merged batch[MERGE_BATCH];
};

static int compare_lane(const void *left, const void *right)
{
    const struct lane *a = left, *b = right;
    return a->number < b->number ? -1 : a->number > b->number;
}

static int collect_lanes(struct merge *merge)
{
    const struct numbers *numbers = &merge->loader.trace->index.numbers;
    merge->lanes = calloc(numbers->lane_count + 1, sizeof(*merge->lanes));
    if (!merge->lanes)
        return -ENOMEM;
    for (size_t i = 0; i < numbers->lane_count; i++)
        merge->lanes[i].number = numbers->lanes[i].lane;
    merge->lane_count = numbers->lane_count;
    qsort(merge->lanes, merge->lane_count, sizeof(*merge->lanes), compare_lane);
    return 0;
}

int merge_open(struct trace *trace, struct merge **ret_merge, struct error *error)
{
    struct merge *merge = calloc(1, sizeof(*merge));
    int result = -ENOMEM;
    if (merge) {
        merge->until = UINT64_MAX;
        loader_open(&merge->loader, trace);
        result = collect_lanes(merge);
    }
    if (result < 0) {
        merge_close(merge);
        return error_set(error, result, "%s: out of memory", trace_path(trace));
    }
    *ret_merge = merge;
    return 0;
}

void merge_close(struct merge *merge)
{
    if (!merge)
        return;
    for (size_t i = 0; i < merge->heap_count; i++)
        loader_give_back(&merge->loader, merge->heap[i].count, merge->heap[i].events);
    loader_close(&merge->loader);
    free(merge->heap);
    free(merge->lanes);
    resume_free(&merge->kept);
    free(merge);
}

void merge_stop(struct merge *merge, uint64_t until)
{
    merge->until = until;
}

static bool comes_before(const struct cursor *a, const struct cursor *b)
{
    if (a->time != b->time)
        return a->time < b->time;
    if (a->lane != b->lane)
        return a->lane->number < b->lane->number;
    return a->sequence < b->sequence;
}

/* The child of `at` that comes first; heap_count if there is none. */
static size_t first_child(const struct merge *merge, size_t at)
{
    size_t child = 2 * at + 1;
    if (child >= merge->heap_count)
        return merge->heap_count;
    if (child + 1 < merge->heap_count && comes_before(&merge->heap[child + 1], &merge->heap[child]))
        child++;
    return child;
}

static void sink_root(struct merge *merge)
{
    struct cursor *heap = merge->heap;
    size_t at = 0, child = first_child(merge, 0);
    if (child == merge->heap_count || !comes_before(&heap[child], &heap[0]))
        return; /* mostly: a thread does several things in a row */
    struct cursor moved = heap[0];
    while (child < merge->heap_count && comes_before(&heap[child], &moved)) {
        heap[at] = heap[child];
        at = child;
        child = first_child(merge, at);
    }
    heap[at] = moved;
}

static void rise(struct merge *merge, size_t at)
{
    struct cursor *heap = merge->heap, moved = heap[at];
    for (; at > 0 && comes_before(&moved, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = moved;
}

/* It is there: whatever frame is indexed was counted in its lane. */
static struct lane *find_lane(const struct merge *merge, uint32_t number)
{
    size_t low = 0, high = merge->lane_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (merge->lanes[middle].number <= number)
            low = middle;
        else
            high = middle;
    }
    return &merge->lanes[low];
}

/* When the frame's buffer was begun: when the lane's one before was full, or earlier, since buffers may be filled in turns. */
static uint64_t begun(struct lane *lane, const struct frame_info *frame)
{
    uint64_t since = lane->latest > 0 && lane->latest < frame->first_time ? lane->latest : frame->first_time;
    if (frame->last_time > lane->latest)
        lane->latest = frame->last_time;
    return since;
}

static int copy_early(const struct cursor *cursor, uint64_t until, struct resume_frame *frame)
{
    frame->events = malloc(cursor->count * sizeof(*frame->events));
    if (!frame->events)
        return -ENOMEM;
    for (uint32_t i = 0; i < cursor->count && cursor->events[i].time <= until; i++)
        if (cursor->events[i].action != 0)
            frame->events[frame->count++] = cursor->events[i];
    return 0;
}

/* Of a pass that stops: a frame that lasts longer, and one of the spool, which may grow, and be written to the file. */
static int keep_frame(struct merge *merge, const struct frame_info *frame, const struct cursor *cursor)
{
    struct resume *kept = &merge->kept;
    if (merge->until == UINT64_MAX || frame->first_time > merge->until || (!frame->spooled && frame->last_time <= merge->until))
        return 0;
    struct resume_frame *grown = array_grow(kept->frames, &kept->frame_room, kept->frame_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    kept->frames = grown;
    struct resume_frame *added = &grown[kept->frame_count++];
    *added = (struct resume_frame){.lane = frame->lane, .sequence = frame->sequence, .since = cursor->since};
    return frame->spooled ? copy_early(cursor, merge->until, added) : 0;
}

/* Of a frame that the other pass knew, it is what it was then. */
static uint64_t since_of(const struct merge *merge, struct lane *lane, const struct frame_info *frame)
{
    const struct resume_frame *known = merge->resumed ? resume_find(merge->resumed, frame->lane, frame->sequence) : NULL;
    if (frame->first_time > merge->until)
        return frame->first_time; /* nothing of it is handed out, and the next pass loads it anew */
    uint64_t since = begun(lane, frame);
    return known ? known->since : since;
}

/* Brings the next frame into the heap, but for what was handed out before. A damaged one is left out. */
static int load_next(struct merge *merge)
{
    struct cursor *grown = array_grow(merge->heap, &merge->heap_room, merge->heap_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    merge->heap = grown;
    const struct frame_info *frame = &merge->loader.upcoming;
    struct cursor cursor = {.sequence = frame->sequence, .count = frame->count};
    int result = loader_take(&merge->loader, &cursor.events);
    if (result < 0 || !cursor.events)
        return result;
    cursor.next = cursor.events;
    cursor.end = cursor.events + frame->count;
    while (cursor.next < cursor.end - 1 && cursor.next->time <= merge->loader.trace->from)
        cursor.next++;
    cursor.time = cursor.next->time;
    cursor.lane = find_lane(merge, frame->lane);
    cursor.since = since_of(merge, cursor.lane, frame);
    result = keep_frame(merge, frame, &cursor);
    if (result < 0) {
        loader_give_back(&merge->loader, cursor.count, cursor.events);
        return result;
    }
    merge->heap[merge->heap_count] = cursor;
    rise(merge, merge->heap_count++);
    return 0;
}

/* Loads all frames that may hold an event that comes before the heap's first. */
static int load_due(struct merge *merge)
{
    int result;
    while ((result = loader_peek(&merge->loader)) > 0) {
        if (merge->heap_count > 0 && merge->loader.upcoming.first_time > merge->heap->time)
            break;
        result = load_next(merge);
        if (result < 0)
            break;
    }
    return result < 0 ? result : 0;
}

/* The last time up to which the root's events come before all others. Frames that are not loaded yet begin later than the
 * root's first event: load_due() has seen to that. */
static uint64_t root_leads_until(const struct merge *merge)
{
    size_t second = first_child(merge, 0);
    uint64_t until = UINT64_MAX;
    if (second < merge->heap_count) {
        struct cursor at_once = merge->heap[0];
        at_once.time = merge->heap[second].time;
        until = at_once.time - !comes_before(&at_once, &merge->heap[second]);
    }
    if (merge->loader.peeked && merge->loader.upcoming.first_time - 1 < until)
        until = merge->loader.upcoming.first_time - 1;
    return until < merge->until ? until : merge->until;
}

/* An ANSWERED or AT_ONCE as the two events that it stands for. Not inlined: most events are none, and pass by in a few steps. */
static __attribute__((noinline)) struct merged *take_answer(const struct cursor *from, const struct stray_event *event, struct merged *to)
{
    const struct lane *lane = from->lane;
    struct stray_event result = *event, use = *event;
    result.action = STRAY_RESULT;
    result.stack = 0;
    use.action = STRAY_USE;
    use.value = event->action == STRAY_ANSWERED && lane->asked == event->handle && event->time > lane->asked_at ? event->time - lane->asked_at : 0;
    *to++ = (struct merged){result, lane->number, lane->thread, from->since};
    *to++ = (struct merged){use, lane->number, lane->thread, from->since};
    return to;
}

/* Hands out events of the root as long as they come first. An event whose action is 0 does not exist. */
static void take_run(struct merge *merge)
{
    struct cursor *root = merge->heap;
    struct lane *lane = root->lane;
    uint64_t until = root_leads_until(merge);
    const struct stray_event *event = root->next, *end = root->end;
    struct merged *to = &merge->batch[merge->batch_count], *full = &merge->batch[MERGE_BATCH - 1];
    for (; event < end && event->time <= until && to < full; event++) {
        if (event->action == 0)
            continue;
        if (event->action == STRAY_OWNER)
            lane->thread = (uint32_t)event->handle;
        if (event->action == STRAY_ANSWERED || event->action == STRAY_AT_ONCE) {
            to = take_answer(root, event, to);
            continue;
        }
        if (event->action == STRAY_STATEMENT) {
            lane->asked = event->handle;
            lane->asked_at = event->time;
        }
        *to = (struct merged){*event, lane->number, lane->thread, root->since};
        if (event->resource >= STRAY_USER_FIRST)
            defs_rename(&merge->loader.trace->defs, &to->event);
        to++;
    }
    merge->batch_count = (size_t)(to - merge->batch);
    root->next = event;
}

/* Puts the root, whose events were taken, in its new place. */
static void settle_root(struct merge *merge)
{
    struct cursor *root = merge->heap;
    if (root->next < root->end) {
        root->time = root->next->time;
    } else {
        loader_give_back(&merge->loader, root->count, root->events);
        *root = merge->heap[--merge->heap_count];
    }
    sink_root(merge);
}

/* False at the end of the trace, or with merge->failure set. */
static bool take_more(struct merge *merge)
{
    merge->failure = load_due(merge);
    if (merge->failure < 0 || merge->heap_count == 0 || merge->heap->time > merge->until)
        return false;
    take_run(merge);
    settle_root(merge);
    return true;
}

int merge_batch(struct merge *merge, const struct merged **ret_batch)
{
    merge->batch_count = merge->handed = 0;
    while (merge->batch_count < MERGE_BATCH - 1 && merge->failure == 0 && take_more(merge))
        ;
    *ret_batch = merge->batch;
    return merge->batch_count > 0 ? (int)merge->batch_count : merge->failure;
}

int merge_next(struct merge *merge, struct stray_event *ret_event, uint32_t *ret_lane, uint32_t *ret_thread)
{
    if (merge->handed == merge->batch_count) {
        const struct merged *batch;
        int result = merge_batch(merge, &batch);
        if (result <= 0)
            return result;
    }
    const struct merged *next = &merge->batch[merge->handed++];
    *ret_event = next->event;
    *ret_lane = next->lane;
    *ret_thread = next->thread;
    return 1;
}

int merge_each(struct trace *trace, merge_visit *visit, void *data)
{
    struct merge *merge;
    const struct merged *batch;
    int count = merge_open(trace, &merge, NULL);
    if (count < 0)
        return count;
    while ((count = merge_batch(merge, &batch)) > 0)
        for (int i = 0; i < count; i++)
            visit(data, &batch[i].event);
    merge_close(merge);
    return count;
}

int merge_pause(struct merge *merge, struct resume *ret_resume)
{
    const struct trace *trace = merge->loader.trace;
    struct resume resume = merge->kept;
    resume.lanes = calloc(merge->lane_count + 1, sizeof(*resume.lanes));
    if (!resume.lanes)
        return -ENOMEM;
    for (size_t i = 0; i < merge->lane_count; i++) {
        const struct lane *lane = &merge->lanes[i];
        resume.lanes[i] = (struct resume_lane){lane->number, lane->thread, lane->asked, lane->asked_at, lane->latest};
    }
    resume.lane_count = merge->lane_count;
    resume.until = merge->until;
    resume.size = trace->index.end;
    merge->kept = (struct resume){0};
    *ret_resume = resume;
    return 0;
}

int merge_resume(struct trace *trace, const struct resume *resume, struct merge **ret_merge, struct error *error)
{
    struct merge *merge;
    trace->from = resume->until;
    int result = merge_open(trace, &merge, error);
    if (result < 0)
        return result;
    merge->resumed = resume;
    for (size_t i = 0; i < resume->lane_count; i++) {
        const struct resume_lane *from = &resume->lanes[i];
        struct lane *lane = find_lane(merge, from->number);
        if (lane->number == from->number)
            *lane = (struct lane){from->number, from->thread, from->asked, from->asked_at, from->latest};
    }
    *ret_merge = merge;
    return 0;
}
