/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An append-only area of the traced process (its stack table, its definitions), put together from the pieces
 * that frames and the spool hold of it. Pieces may repeat, overlap, and leave gaps; memory grows with the
 * pieces, never with the numbers they claim. A unit that one piece holds unwritten (a thread was still busy
 * with it) is taken from another piece.
 *
 * Use: extents_init(), extents_add() as often as needed, extents_seal() once, then read.
 */
#ifndef STRAY_READ_EXTENTS_H
#define STRAY_READ_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXTENTS_MAX_BYTES (UINT64_C(1) << 30) /* of one area; far above any real one */

struct extent {
    uint64_t first, count; /* units */
    uint8_t *data;
    size_t room; /* units that fit `data` */
};

struct extents {
    size_t unit;                       /* bytes */
    bool (*written)(const void *unit); /* tells a finished unit from an unfinished one */
    struct extent *list;
    size_t count, room;
    uint64_t bytes;
};

void extents_init(struct extents *extents, size_t unit, bool (*written)(const void *unit));
void extents_free(struct extents *extents);

/* Copies `count` units that stand at `first`. -ENOMEM; -EFBIG when the area would exceed EXTENTS_MAX_BYTES.
 */
int extents_add(struct extents *extents, uint64_t first, const void *data, uint64_t count);
/* Adds all of `from`. */
int extents_add_all(struct extents *extents, const struct extents *from);

/* Sorts and joins. Pointers into the area are stable from here on. */
int extents_seal(struct extents *extents);

/* The unit at `index`, NULL in a gap. Sealed areas only. */
void *extents_get(const struct extents *extents, uint64_t index);
/* One past the last unit known; 0 if there is none. Sealed areas only. */
uint64_t extents_end(const struct extents *extents);

#endif
