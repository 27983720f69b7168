/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/extents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read/array.h"

void extents_init(struct extents *extents, size_t unit, bool (*written)(const void *unit))
{
    *extents = (struct extents){.unit = unit, .written = written};
}

void extents_free(struct extents *extents)
{
    for (size_t i = 0; i < extents->count; i++)
        free(extents->list[i].data);
    free(extents->list);
    extents->list = NULL;
    extents->count = extents->room = 0;
}

static int extent_append(struct extent *extent, const uint8_t *data, uint64_t count, size_t unit)
{
    uint64_t needed = extent->count + count;
    if (needed > extent->room) {
        uint64_t room = needed > 2 * extent->room ? needed : 2 * extent->room;
        uint8_t *grown = realloc(extent->data, room * unit);
        if (!grown)
            return -ENOMEM;
        extent->data = grown;
        extent->room = room;
    }
    memcpy(extent->data + extent->count * unit, data, count * unit);
    extent->count = needed;
    return 0;
}

/* Joins units that begin inside `extent` or right behind it. */
static int extent_join(const struct extents *extents, struct extent *extent, uint64_t first,
                       const uint8_t *data, uint64_t count)
{
    size_t unit = extents->unit;
    uint64_t at = first - extent->first;
    uint64_t overlap = extent->count - at < count ? extent->count - at : count;
    for (uint64_t i = 0; i < overlap; i++) {
        uint8_t *known = extent->data + (at + i) * unit;
        if (!extents->written(known))
            memcpy(known, data + i * unit, unit);
    }
    return overlap < count ? extent_append(extent, data + overlap * unit, count - overlap, unit) : 0;
}

static bool extent_reaches(const struct extent *extent, uint64_t first)
{
    return first >= extent->first && first - extent->first <= extent->count;
}

int extents_add(struct extents *extents, uint64_t first, const void *data, uint64_t count)
{
    if (count == 0)
        return 0;
    if (count > (EXTENTS_MAX_BYTES - extents->bytes) / extents->unit || first > UINT64_MAX - count)
        return -EFBIG;
    extents->bytes += count * extents->unit;
    struct extent *last = extents->count ? &extents->list[extents->count - 1] : NULL;
    if (last && extent_reaches(last, first))
        return extent_join(extents, last, first, data, count);
    struct extent *grown = array_grow(extents->list, &extents->room, extents->count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    extents->list = grown;
    struct extent fresh = {.first = first};
    int result = extent_append(&fresh, data, count, extents->unit);
    if (result == 0)
        extents->list[extents->count++] = fresh;
    return result;
}

int extents_add_all(struct extents *extents, const struct extents *from)
{
    int result = 0;
    for (size_t i = 0; i < from->count && result == 0; i++)
        result = extents_add(extents, from->list[i].first, from->list[i].data, from->list[i].count);
    return result;
}

static int compare_first(const void *left, const void *right)
{
    const struct extent *a = left, *b = right;
    return a->first < b->first ? -1 : a->first > b->first;
}

int extents_seal(struct extents *extents)
{
    if (extents->count < 2)
        return 0;
    qsort(extents->list, extents->count, sizeof(*extents->list), compare_first);
    size_t kept = 1;
    int result = 0;
    for (size_t i = 1; i < extents->count; i++) {
        struct extent *last = &extents->list[kept - 1], next = extents->list[i];
        if (result < 0 || !extent_reaches(last, next.first)) {
            extents->list[kept++] = next;
            continue;
        }
        result = extent_join(extents, last, next.first, next.data, next.count);
        free(next.data);
    }
    extents->count = kept;
    return result;
}

void *extents_get(const struct extents *extents, uint64_t index)
{
    size_t low = 0, high = extents->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct extent *extent = &extents->list[middle];
        if (index < extent->first)
            high = middle;
        else if (index - extent->first >= extent->count)
            low = middle + 1;
        else
            return extent->data + (index - extent->first) * extents->unit;
    }
    return NULL;
}

uint64_t extents_end(const struct extents *extents)
{
    if (extents->count == 0)
        return 0;
    const struct extent *last = &extents->list[extents->count - 1];
    return last->first + last->count;
}
