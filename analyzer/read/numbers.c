/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/numbers.h"

#include <errno.h>
#include <stdlib.h>

#include "read/array.h"

void numbers_free(struct numbers *numbers)
{
    free(numbers->lanes);
    free(numbers->slots);
    free(numbers->spans.items);
    free(numbers->repeated.items);
    *numbers = (struct numbers){0};
}

static int add_span(struct number_spans *spans, uint32_t lane, uint64_t from, uint64_t to)
{
    struct number_span *grown = array_grow(spans->items, &spans->room, spans->count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    spans->items = grown;
    grown[spans->count++] = (struct number_span){lane, from, to};
    return 0;
}

/* ---- lanes ---- */

static size_t slot_of(const struct numbers *numbers, uint32_t lane)
{
    size_t mask = numbers->slot_count - 1, at = (lane * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;
    while (numbers->slots[at] && numbers->lanes[numbers->slots[at] - 1].lane != lane)
        at = (at + 1) & mask;
    return at;
}

static int grow_slots(struct numbers *numbers)
{
    size_t count = numbers->slot_count ? 2 * numbers->slot_count : 64;
    uint32_t *slots = calloc(count, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    free(numbers->slots);
    numbers->slots = slots;
    numbers->slot_count = count;
    for (size_t i = 0; i < numbers->lane_count; i++)
        slots[slot_of(numbers, numbers->lanes[i].lane)] = (uint32_t)i + 1;
    return 0;
}

/* NULL without memory. */
static struct numbered_lane *find_lane(struct numbers *numbers, uint32_t lane)
{
    if (2 * (numbers->lane_count + 1) > numbers->slot_count && grow_slots(numbers) < 0)
        return NULL;
    uint32_t *slot = &numbers->slots[slot_of(numbers, lane)];
    if (*slot)
        return &numbers->lanes[*slot - 1];
    struct numbered_lane *grown =
        array_grow(numbers->lanes, &numbers->lane_room, numbers->lane_count, sizeof(*grown));
    if (!grown)
        return NULL;
    numbers->lanes = grown;
    grown[numbers->lane_count++] = (struct numbered_lane){.lane = lane};
    *slot = (uint32_t)numbers->lane_count;
    return &grown[numbers->lane_count - 1];
}

/* ---- one number after the other ---- */

static struct number_span *touching(struct numbered_lane *lane, uint64_t number)
{
    for (uint32_t i = 0; i < lane->open_count; i++) {
        struct number_span *span = &lane->open[i];
        if (number == span->to || number + 1 == span->from)
            return span;
    }
    return NULL;
}

/* What the span has grown up to becomes part of it. */
static void join_neighbours(struct numbered_lane *lane, struct number_span *span)
{
    for (uint32_t i = 0; i < lane->open_count; i++) {
        struct number_span *other = &lane->open[i];
        if (other == span || (other->from != span->to && other->to != span->from))
            continue;
        if (other->from == span->to)
            span->to = other->to;
        else
            span->from = other->from;
        *other = lane->open[--lane->open_count];
        if (span == &lane->open[lane->open_count])
            span = other;
        i = UINT32_MAX; /* from the start again: at most NUMBERS_OPEN times */
    }
}

static int open_span(struct numbers *numbers, struct numbered_lane *lane, uint64_t number)
{
    if (lane->open_count == NUMBERS_OPEN) {
        int result = add_span(&numbers->spans, lane->lane, lane->open[0].from, lane->open[0].to);
        if (result < 0)
            return result;
        for (uint32_t i = 1; i < NUMBERS_OPEN; i++)
            lane->open[i - 1] = lane->open[i];
        lane->open_count--;
    }
    lane->open[lane->open_count++] = (struct number_span){lane->lane, number, number + 1};
    return 0;
}

int numbers_see(struct numbers *numbers, uint32_t lane_number, uint64_t number, size_t *ret_lane)
{
    struct numbered_lane *lane = find_lane(numbers, lane_number);
    if (!lane)
        return -ENOMEM;
    *ret_lane = (size_t)(lane - numbers->lanes);
    if (number == UINT64_MAX)
        number--; /* no frame of a real trace: its successor must be a number as well */
    for (uint32_t i = 0; i < lane->open_count; i++)
        if (number >= lane->open[i].from && number < lane->open[i].to)
            return add_span(&numbers->repeated, lane_number, number, number + 1);
    struct number_span *span = touching(lane, number);
    if (!span)
        return open_span(numbers, lane, number);
    if (number == span->to)
        span->to++;
    else
        span->from--;
    join_neighbours(lane, span);
    return 0;
}

/* ---- all of them ---- */

static int compare_span(const void *left, const void *right)
{
    const struct number_span *a = left, *b = right;
    if (a->lane != b->lane)
        return a->lane < b->lane ? -1 : 1;
    return a->from < b->from ? -1 : a->from > b->from;
}

static void sort_spans(struct number_spans *spans)
{
    if (spans->count > 1)
        qsort(spans->items, spans->count, sizeof(*spans->items), compare_span);
}

/* Joins what touches; what overlaps goes to `ret_overlaps` as well, unless that is NULL. */
static int join_spans(struct number_spans *spans, struct number_spans *ret_overlaps)
{
    size_t kept = 0;
    sort_spans(spans);
    for (size_t i = 0; i < spans->count; i++) {
        struct number_span next = spans->items[i], *last = kept ? &spans->items[kept - 1] : NULL;
        if (!last || last->lane != next.lane || next.from > last->to) {
            spans->items[kept++] = next;
            continue;
        }
        uint64_t end = next.to < last->to ? next.to : last->to;
        if (ret_overlaps && next.from < end && add_span(ret_overlaps, next.lane, next.from, end) < 0)
            return -ENOMEM;
        if (next.to > last->to)
            last->to = next.to;
    }
    spans->count = kept;
    return 0;
}

int numbers_settle(struct numbers *numbers)
{
    for (size_t i = 0; i < numbers->lane_count; i++)
        for (uint32_t k = 0; k < numbers->lanes[i].open_count; k++) {
            const struct number_span *open = &numbers->lanes[i].open[k];
            if (add_span(&numbers->spans, open->lane, open->from, open->to) < 0)
                return -ENOMEM;
        }
    int result = join_spans(&numbers->spans, &numbers->repeated);
    return result < 0 ? result : join_spans(&numbers->repeated, NULL);
}

bool numbers_repeated(const struct numbers *numbers, uint32_t lane, uint64_t number)
{
    size_t low = 0, high = numbers->repeated.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct number_span *span = &numbers->repeated.items[middle];
        if (lane < span->lane || (lane == span->lane && number < span->from))
            high = middle;
        else if (lane > span->lane || number >= span->to)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

bool numbers_has_lane(const struct numbers *numbers, uint32_t lane)
{
    return numbers->lane_count > 0 && numbers->slots[slot_of(numbers, lane)] != 0;
}

size_t numbers_missing(const struct numbers *numbers, size_t at, uint64_t *ret_missing, uint64_t *ret_largest)
{
    const struct number_spans *spans = &numbers->spans;
    uint32_t lane = spans->items[at].lane;
    uint64_t reached = 0;
    *ret_missing = 0;
    for (; at < spans->count && spans->items[at].lane == lane; at++) {
        *ret_missing += spans->items[at].from - reached;
        reached = spans->items[at].to;
    }
    *ret_largest = reached - 1;
    return at;
}
