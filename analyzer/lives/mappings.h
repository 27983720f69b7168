/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mapped address ranges of one process. A mapping is what one call mapped; it may be unmapped in parts, and one call
 * may unmap parts of several. It is open as long as a page of it is mapped. Every operation takes time O(log n) for each
 * piece it touches, whatever addresses a trace may hold. A zeroed struct is an empty table.
 *
 * Ownership: a struct mappings owns its mappings and pieces. Not thread safe.
 */
#ifndef STRAY_LIVES_MAPPINGS_H
#define STRAY_LIVES_MAPPINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapping {
    struct mapping *next, *previous;
    uint64_t bytes; /* still mapped, those under way in a move included */
    uint32_t site;  /* where it was born */
    uint32_t mark;  /* when: a mark of the work axis */
};

/* Addresses [start, end) of one mapping. */
struct piece {
    uint64_t start, end;
    struct mapping *mapping;
};

/* Pieces between the two events of a move, at their old addresses. */
struct pieces {
    struct piece *items;
    size_t count, room;
};

struct mappings {
    void *tree;          /* of struct piece, by address; they do not overlap */
    struct mapping *all; /* in no order */
};

/* Tells that `mapping` has lost `bytes` of its pages; `bytes` is already taken off. Where nothing is left, the mapping is
 * freed afterwards. */
typedef void mapping_shrunk(void *data, const struct mapping *mapping, uint64_t bytes);

/* A mapping without pages; NULL without memory. */
struct mapping *mappings_new(struct mappings *mappings, uint32_t site, uint32_t mark);
/* Gives [start, end), where nothing is mapped, to `mapping`. -ENOMEM. */
int mappings_add(struct mappings *mappings, struct mapping *mapping, uint64_t start, uint64_t end);
/* Unmaps [start, end), whatever is there. *ret_bytes: what was known to be mapped. -ENOMEM. */
int mappings_remove(struct mappings *mappings, uint64_t start, uint64_t end, mapping_shrunk *shrunk, void *data,
                    uint64_t *ret_bytes);
/* Takes the pieces of [start, end) away without unmapping them, behind those in `pieces`. -ENOMEM. */
int mappings_take(struct mappings *mappings, uint64_t start, uint64_t end, struct pieces *pieces);
/* Puts them back, `distance` further on, where nothing is mapped, and empties `pieces`. -ENOMEM. */
int mappings_put(struct mappings *mappings, struct pieces *pieces, uint64_t distance);
/* The piece that holds `address`, or NULL. The pointer holds until pages of the piece are removed or taken. */
struct piece *mappings_find(const struct mappings *mappings, uint64_t address);
/* Tells of every piece of [start, end) how many bytes of it lie there. */
typedef void mapping_found(void *data, const struct mapping *mapping, uint64_t bytes);
void mappings_visit(const struct mappings *mappings, uint64_t start, uint64_t end, mapping_found *found, void *data);
/* Makes `piece` go on up to `end`; nothing may be mapped between. */
void mappings_extend(struct piece *piece, uint64_t end);
void mappings_clear(struct mappings *mappings);

#endif
