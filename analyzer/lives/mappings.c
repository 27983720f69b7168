/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/mappings.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

#include "lives/internal.h"

/* Overlapping pieces are equal: a search for a range finds a piece that it touches. */
static int compare(const void *a, const void *b)
{
    const struct piece *one = a, *other = b;
    if (one->end <= other->start)
        return -1;
    return one->start >= other->end;
}

/* Any piece that has pages in [start, end), or NULL. */
static struct piece *find(const struct mappings *mappings, uint64_t start, uint64_t end)
{
    struct piece range = {.start = start, .end = end};
    struct piece *const *found = start < end ? tfind(&range, &mappings->tree, compare) : NULL;
    return found ? *found : NULL;
}

static int insert(struct mappings *mappings, uint64_t start, uint64_t end, struct mapping *mapping)
{
    struct piece *piece = malloc(sizeof(*piece));
    if (!piece)
        return -ENOMEM;
    *piece = (struct piece){start, end, mapping};
    if (tsearch(piece, &mappings->tree, compare))
        return 0;
    free(piece);
    return -ENOMEM;
}

/* Takes what [start, end) and `piece` have in common out of the tree; `piece` may be gone afterwards. */
static int cut(struct mappings *mappings, struct piece *piece, uint64_t start, uint64_t end, struct piece *ret_part)
{
    struct piece whole = *piece;
    int result = 0;
    *ret_part = whole;
    if (whole.start < start) {
        ret_part->start = start;
        piece->end = start;
    }
    if (whole.end > end) {
        ret_part->end = end;
        if (whole.start < start)
            result = insert(mappings, end, whole.end, whole.mapping);
        else
            piece->start = end;
    }
    if (whole.start >= start && whole.end <= end) {
        tdelete(piece, &mappings->tree, compare);
        free(piece);
    }
    return result;
}

struct mapping *mappings_new(struct mappings *mappings, uint32_t site, uint32_t mark)
{
    struct mapping *mapping = malloc(sizeof(*mapping));
    if (!mapping)
        return NULL;
    *mapping = (struct mapping){.next = mappings->all, .site = site, .mark = mark};
    if (mapping->next)
        mapping->next->previous = mapping;
    mappings->all = mapping;
    return mapping;
}

static void forget(struct mappings *mappings, struct mapping *mapping)
{
    if (mapping->next)
        mapping->next->previous = mapping->previous;
    if (mapping->previous)
        mapping->previous->next = mapping->next;
    else
        mappings->all = mapping->next;
    free(mapping);
}

int mappings_add(struct mappings *mappings, struct mapping *mapping, uint64_t start, uint64_t end)
{
    mapping->bytes += end - start;
    return insert(mappings, start, end, mapping);
}

int mappings_remove(struct mappings *mappings, uint64_t start, uint64_t end, mapping_shrunk *shrunk, void *data,
                    uint64_t *ret_bytes)
{
    struct piece *piece, part;
    int result = 0;
    *ret_bytes = 0;
    while (result == 0 && (piece = find(mappings, start, end))) {
        result = cut(mappings, piece, start, end, &part);
        part.mapping->bytes -= part.end - part.start;
        *ret_bytes += part.end - part.start;
        shrunk(data, part.mapping, part.end - part.start);
        if (part.mapping->bytes == 0)
            forget(mappings, part.mapping);
    }
    return result;
}

int mappings_take(struct mappings *mappings, uint64_t start, uint64_t end, struct pieces *pieces)
{
    struct piece *piece;
    int result = 0;
    while (result == 0 && (piece = find(mappings, start, end))) {
        result = room_for(&pieces->items, &pieces->room, pieces->count + 1, sizeof(*pieces->items));
        if (result == 0)
            result = cut(mappings, piece, start, end, &pieces->items[pieces->count++]);
    }
    return result;
}

int mappings_put(struct mappings *mappings, struct pieces *pieces, uint64_t distance)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < pieces->count; i++) {
        const struct piece *piece = &pieces->items[i];
        result = insert(mappings, piece->start + distance, piece->end + distance, piece->mapping);
    }
    pieces->count = 0;
    return result;
}

struct piece *mappings_find(const struct mappings *mappings, uint64_t address)
{
    return address < UINT64_MAX ? find(mappings, address, address + 1) : NULL;
}

/* What is found first stands high in the balanced tree, so that this goes no deeper than twice its height. */
void mappings_visit(const struct mappings *mappings, uint64_t start, uint64_t end, mapping_found *found, void *data)
{
    const struct piece *piece = find(mappings, start, end);
    if (!piece)
        return;
    uint64_t from = piece->start > start ? piece->start : start, to = piece->end < end ? piece->end : end;
    found(data, piece->mapping, to - from);
    mappings_visit(mappings, start, from, found, data);
    mappings_visit(mappings, to, end, found, data);
}

void mappings_extend(struct piece *piece, uint64_t end)
{
    piece->mapping->bytes += end - piece->end;
    piece->end = end;
}

void mappings_clear(struct mappings *mappings)
{
    tdestroy(mappings->tree, free);
    while (mappings->all)
        forget(mappings, mappings->all);
    *mappings = (struct mappings){0};
}
