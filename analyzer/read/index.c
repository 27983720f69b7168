/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read/array.h"
#include "read/inside.h"
#include "read/stream.h"

void index_free(struct index *index)
{
    numbers_free(&index->numbers);
    window_free(&index->window);
    free(index->strays.items);
    free(index->skipped.items);
    free(index->newest.items);
    free(index->chunks.items);
    free(index->jumps);
    free(index->noted);
}

/* ---- frames in order ---- */

static int compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* Position in the file decides last; spooled frames stand behind all others. */
static int compare_number(const struct frame_info *a, const struct frame_info *b)
{
    int order = compare_u64(a->lane, b->lane);
    if (order == 0)
        order = compare_u64(a->sequence, b->sequence);
    return order ? order : compare_u64(a->ordinal, b->ordinal);
}

int frame_compare(const struct frame_info *a, const struct frame_info *b)
{
    int order = compare_u64(a->first_time, b->first_time);
    return order ? order : compare_number(a, b);
}

static int compare_numbers(const void *left, const void *right)
{
    return compare_number(left, right);
}

static int compare_times(const void *left, const void *right)
{
    return frame_compare(left, right);
}

int frame_list_add(struct frame_list *list, const struct frame_info *frame)
{
    struct frame_info *grown = array_grow(list->items, &list->room, list->count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    list->items = grown;
    grown[list->count++] = *frame;
    return 0;
}

static int place_list_add(struct place_list *list, uint64_t place)
{
    uint64_t *grown = array_grow(list->items, &list->room, list->count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    list->items = grown;
    grown[list->count++] = place;
    return 0;
}

/* ---- the window ---- */

void window_free(struct window *window)
{
    free(window->heap.items);
    *window = (struct window){0};
}

int window_push(struct window *window, const struct frame_info *frame)
{
    int result = frame_list_add(&window->heap, frame);
    if (result < 0)
        return result;
    struct frame_info *heap = window->heap.items;
    size_t at = window->heap.count - 1;
    for (; at > 0 && frame_compare(frame, &heap[(at - 1) / 2]) < 0; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = *frame;
    return 0;
}

struct frame_info window_pop(struct window *window)
{
    struct frame_info *heap = window->heap.items;
    struct frame_info first = heap[0], moved = heap[--window->heap.count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < window->heap.count) {
        if (child + 1 < window->heap.count && frame_compare(&heap[child + 1], &heap[child]) < 0)
            child++;
        if (frame_compare(&moved, &heap[child]) <= 0)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
    return first;
}

/* ---- building ---- */

int index_pass(struct index *index, uint64_t header, uint64_t next)
{
    if (header != index->end) {
        struct jump *grown = array_grow(index->jumps, &index->jump_room, index->jump_count, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        index->jumps = grown;
        grown[index->jump_count++] = (struct jump){index->end, header};
    }
    index->end = next;
    return 0;
}

/* Of the frames of one number the one with most events counts, of equals the last; one of the spool must hold more than all
 * others. Whether `frame`, which is behind `best` in the file, is to be preferred. */
static bool frame_supersedes(const struct frame_info *frame, const struct frame_info *best)
{
    return frame->count > best->count || (frame->count == best->count && !frame->spooled);
}

static void note_newest(struct frame_info *newest, const struct frame_info *frame)
{
    bool same = newest->count > 0 && frame->sequence == newest->sequence;
    if (newest->count == 0 || frame->sequence > newest->sequence || (same && frame_supersedes(frame, newest)))
        *newest = *frame;
}

static int see_number(struct index *index, const struct frame_info *frame)
{
    size_t lane;
    int result = numbers_see(&index->numbers, frame->lane, frame->sequence, &lane);
    if (result == 0 && lane == index->newest.count)
        result = frame_list_add(&index->newest, &(struct frame_info){0});
    if (result == 0 && frame->count > 0)
        note_newest(&index->newest.items[lane], frame);
    return result;
}

static int reserve_note(struct index *index)
{
    size_t wanted = (index->ordinals + 1) / 8 + 1, room = index->noted_room; /* and one for a frame that is unreadable */
    uint8_t *grown = array_grow(index->noted, &index->noted_room, wanted, 1);
    if (!grown)
        return -ENOMEM;
    index->noted = grown;
    memset(grown + room, 0, index->noted_room - room);
    return 0;
}

/* Counts a frame in: gives it its ordinal. */
static int enter(struct index *index, struct frame_info *frame)
{
    int result = reserve_note(index);
    if (result < 0)
        return result;
    frame->ordinal = index->ordinals++;
    if (frame->count > 0 && frame->last_time > index->last_time)
        index->last_time = frame->last_time;
    return see_number(index, frame);
}

/* What comes too late for the window must come by its own. */
static int slide(struct index *index, const struct frame_info *frame)
{
    struct window *window = &index->window;
    if (window->slid && frame_compare(frame, &window->left) < 0) {
        int result = place_list_add(&index->skipped, frame->payload);
        return result < 0 ? result : frame_list_add(&index->strays, frame);
    }
    int result = window_push(window, frame);
    if (result == 0 && window->heap.count > INDEX_WINDOW) {
        window->left = window_pop(window);
        window->slid = true;
    }
    return result;
}

int index_add(struct index *index, struct frame_info frame)
{
    int result = 0;
    if (index->ordinals % INDEX_CHUNK == 0)
        result = place_list_add(&index->chunks, frame.payload - sizeof(struct stray_frame_header));
    if (result == 0)
        result = enter(index, &frame);
    return result < 0 || frame.count == 0 ? result : slide(index, &frame);
}

int index_add_spooled(struct index *index, struct frame_info frame)
{
    int result = enter(index, &frame);
    return result < 0 || frame.count == 0 ? result : frame_list_add(&index->strays, &frame);
}

/* ---- settling ---- */

static int compare_ordinals(const void *left, const void *right)
{
    return compare_u64(((const struct frame_info *)left)->ordinal, ((const struct frame_info *)right)->ordinal);
}

/* Strays still stand in the order in which they came. */
static void drop_stray(struct frame_list *strays, const struct frame_info *frame)
{
    struct frame_info *found = NULL;
    if (strays->count > 0)
        found = bsearch(frame, strays->items, strays->count, sizeof(*found), compare_ordinals);
    if (found)
        found->count = 0;
}

static int drop(struct index *index, const struct frame_info *frame)
{
    drop_stray(&index->strays, frame);
    return frame->spooled ? 0 : place_list_add(&index->skipped, frame->payload);
}

static int collect_repeated(const struct trace *trace, struct frame_list *ret_frames)
{
    const struct index *index = &trace->index;
    struct walk walk;
    struct frame_info frame;
    int result = 0;
    walk_begin(&walk, trace);
    while (result == 0 && walk_next(&walk, &frame))
        if (numbers_repeated(&index->numbers, frame.lane, frame.sequence))
            result = frame_list_add(ret_frames, &frame);
    for (size_t i = 0; result == 0 && i < index->strays.count; i++) {
        const struct frame_info *stray = &index->strays.items[i];
        if (stray->spooled && numbers_repeated(&index->numbers, stray->lane, stray->sequence))
            result = frame_list_add(ret_frames, stray);
    }
    return result;
}

/* `frames` are all of the numbers that were seen more than once. */
static int drop_superseded(struct index *index, struct frame_list *frames)
{
    const struct frame_info *best = NULL;
    int result = 0;
    if (frames->count > 1)
        qsort(frames->items, frames->count, sizeof(*frames->items), compare_numbers);
    for (size_t i = 0; result == 0 && i < frames->count; i++) {
        const struct frame_info *frame = &frames->items[i];
        if (!best || best->lane != frame->lane || best->sequence != frame->sequence) {
            best = frame;
        } else if (frame_supersedes(frame, best)) {
            result = drop(index, best);
            best = frame;
        } else {
            result = drop(index, frame);
        }
    }
    return result;
}

static int compare_places(const void *left, const void *right)
{
    return compare_u64(*(const uint64_t *)left, *(const uint64_t *)right);
}

static void drop_empty(struct frame_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].count > 0)
            list->items[kept++] = list->items[i];
    list->count = kept;
}

int index_settle(struct trace *trace)
{
    struct index *index = &trace->index;
    struct frame_list repeated = {0};
    window_free(&index->window);
    int result = numbers_settle(&index->numbers);
    if (result == 0 && index->numbers.repeated.count > 0)
        result = collect_repeated(trace, &repeated);
    if (result == 0)
        result = drop_superseded(index, &repeated);
    free(repeated.items);
    drop_empty(&index->strays);
    if (index->strays.count > 1)
        qsort(index->strays.items, index->strays.count, sizeof(*index->strays.items), compare_times);
    if (index->skipped.count > 1)
        qsort(index->skipped.items, index->skipped.count, sizeof(*index->skipped.items), compare_places);
    return result;
}

bool index_skips(const struct index *index, uint64_t payload)
{
    return index->skipped.count > 0 && bsearch(&payload, index->skipped.items, index->skipped.count,
                                               sizeof(*index->skipped.items), compare_places);
}

/* ---- what was noted ---- */

bool index_noted(const struct index *index, const struct frame_info *frame)
{
    return index->noted[frame->ordinal / 8] >> (frame->ordinal % 8) & 1;
}

bool index_note(struct index *index, const struct frame_info *frame)
{
    bool fresh = !index_noted(index, frame);
    index->noted[frame->ordinal / 8] |= (uint8_t)(1u << (frame->ordinal % 8));
    return fresh;
}
