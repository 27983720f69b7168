/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The open blocks of one kind of resource, by handle. Made for heaps: 24 bytes a block, one probe for most
 * look-ups, real removal. A zeroed struct is an empty table. Not thread safe.
 */
#ifndef STRAY_LIVES_BLOCKS_H
#define STRAY_LIVES_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct block {
    uint64_t handle; /* 0: no block */
    union {
        uint64_t size;
        uint64_t path;  /* temporary files: the definition of the path, or 0 */
        uint64_t ended; /* threads and children: when it ended, to be joined or waited for; 0: not yet */
    };
    uint32_t site; /* where it was born */
    uint32_t mark; /* when: a mark of the work axis */
};

struct blocks {
    struct block *slots;
    size_t capacity, count; /* capacity: 0 or a power of two */
    unsigned shift;         /* 64 - log2(capacity) */
};

/* NULL if `handle` is not open. The pointer holds until the next insertion or removal. */
struct block *blocks_find(const struct blocks *blocks, uint64_t handle);
/* Has the processor fetch where `handle` stands, for a call that comes soon. */
void blocks_expect(const struct blocks *blocks, uint64_t handle);
/* Adds `block`, whose handle is neither 0 nor in the table. -ENOMEM leaves the table as it was. */
int blocks_insert(struct blocks *blocks, struct block block);
/* Removes a block that blocks_find() returned. */
void blocks_remove(struct blocks *blocks, struct block *block);
void blocks_clear(struct blocks *blocks);

#endif
