/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/blocks.h"

#include <errno.h>
#include <stdlib.h>

static size_t home_of(const struct blocks *blocks, uint64_t handle)
{
    return (size_t)((handle * 0x9e3779b97f4a7c15u) >> blocks->shift);
}

static size_t slot_of(const struct blocks *blocks, uint64_t handle)
{
    size_t mask = blocks->capacity - 1, at = home_of(blocks, handle);
    while (blocks->slots[at].handle && blocks->slots[at].handle != handle)
        at = (at + 1) & mask;
    return at;
}

struct block *blocks_find(const struct blocks *blocks, uint64_t handle)
{
    if (blocks->count == 0 || handle == 0)
        return NULL;
    struct block *block = &blocks->slots[slot_of(blocks, handle)];
    return block->handle ? block : NULL;
}

void blocks_expect(const struct blocks *blocks, uint64_t handle)
{
    if (blocks->count > 0)
        __builtin_prefetch(&blocks->slots[home_of(blocks, handle)], 1);
}

static int grow(struct blocks *blocks)
{
    struct blocks bigger = {.count = blocks->count, .shift = blocks->capacity ? blocks->shift - 1 : 54};
    bigger.capacity = (size_t)1 << (64 - bigger.shift);
    bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < blocks->capacity; i++) {
        if (blocks->slots[i].handle)
            bigger.slots[slot_of(&bigger, blocks->slots[i].handle)] = blocks->slots[i];
    }
    free(blocks->slots);
    *blocks = bigger;
    return 0;
}

int blocks_insert(struct blocks *blocks, struct block block)
{
    if (2 * (blocks->count + 1) > blocks->capacity) {
        int result = grow(blocks);
        if (result < 0)
            return result;
    }
    blocks->slots[slot_of(blocks, block.handle)] = block;
    blocks->count++;
    return 0;
}

/* Later entries of the same run move up, so that no tombstones pile up in a table that lives through millions
 * of removals. */
void blocks_remove(struct blocks *blocks, struct block *block)
{
    size_t mask = blocks->capacity - 1, hole = (size_t)(block - blocks->slots);
    for (size_t at = (hole + 1) & mask; blocks->slots[at].handle; at = (at + 1) & mask) {
        size_t home = home_of(blocks, blocks->slots[at].handle);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            blocks->slots[hole] = blocks->slots[at];
            hole = at;
        }
    }
    blocks->slots[hole].handle = 0;
    blocks->count--;
}

void blocks_clear(struct blocks *blocks)
{
    free(blocks->slots);
    *blocks = (struct blocks){0};
}
