/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The open blocks of one kind of resource, by handle. Made for heaps: 24 bytes a block, one probe for most
 * look-ups, real removal. A zeroed struct is an empty table. Not thread safe.
 */
#ifndef STRAY_LIVES_BLOCKS_H
#define STRAY_LIVES_BLOCKS_H

#include <errno.h>
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

/* Makes room for another block; pointers into the table are void then. -ENOMEM leaves the table as it was. */
int blocks_grow(struct blocks *blocks);
/* Removes a block that is in the table. */
void blocks_remove(struct blocks *blocks, struct block *block);
void blocks_clear(struct blocks *blocks);

/* Where a handle stands, if none that has the same place was there before it. The table has room. */
static inline struct block *blocks_home(const struct blocks *blocks, uint64_t handle)
{
    return &blocks->slots[(size_t)((handle * 0x9e3779b97f4a7c15u) >> blocks->shift)];
}

/* Where it stands or would stand. The table has room. */
static inline struct block *blocks_slot(const struct blocks *blocks, uint64_t handle)
{
    struct block *slot = blocks_home(blocks, handle), *end = blocks->slots + blocks->capacity;
    while (slot->handle && slot->handle != handle)
        if (++slot == end)
            slot = blocks->slots;
    return slot;
}

/* NULL if `handle` is not open. The pointer holds until the next insertion or removal. */
static inline struct block *blocks_find(const struct blocks *blocks, uint64_t handle)
{
    if (blocks->count == 0 || handle == 0)
        return NULL;
    struct block *block = blocks_slot(blocks, handle);
    return block->handle ? block : NULL;
}

/* The slot of `handle`, which is not 0: that of the open block, or one whose handle is 0, which the caller may fill and then
 * counts. NULL: no memory. It holds until the next insertion or removal. */
static inline struct block *blocks_claim(struct blocks *blocks, uint64_t handle)
{
    struct block *slot = blocks->capacity > 0 ? blocks_slot(blocks, handle) : NULL;
    if (2 * (blocks->count + 1) <= blocks->capacity || (slot && slot->handle))
        return slot;
    return blocks_grow(blocks) < 0 ? NULL : blocks_slot(blocks, handle);
}

/* Adds `block`, whose handle is neither 0 nor in the table. -ENOMEM leaves the table as it was. */
static inline int blocks_insert(struct blocks *blocks, struct block block)
{
    struct block *slot = blocks_claim(blocks, block.handle);
    if (!slot)
        return -ENOMEM;
    *slot = block;
    blocks->count++;
    return 0;
}

#endif
