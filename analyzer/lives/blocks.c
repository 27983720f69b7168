/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/blocks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SHIFT_FIRST 54 /* 1024 slots */
#define HUGE_PAGE   (UINT64_C(2) << 20)
#define HUGE_FROM   (3 * HUGE_PAGE) /* bytes; sizes of tables from there on are multiples of HUGE_PAGE */

/* Large tables are looked at everywhere: with small pages, to find where a slot lies takes longer than to read it. */
static struct block *slots_new(size_t count)
{
    size_t size = count * sizeof(struct block);
    if (size < HUGE_FROM)
        return calloc(count, sizeof(struct block));
    struct block *slots = aligned_alloc(HUGE_PAGE, size);
    if (!slots)
        return NULL;
    madvise(slots, size, MADV_HUGEPAGE); /* where there are none, small ones do */
    memset(slots, 0, size);
    return slots;
}

int blocks_grow(struct blocks *blocks)
{
    struct blocks bigger = {.count = blocks->count, .shift = blocks->capacity ? blocks->shift - 1 : SHIFT_FIRST};
    bigger.capacity = (size_t)1 << (64 - bigger.shift);
    bigger.slots = slots_new(bigger.capacity);
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < blocks->capacity; i++) {
        if (blocks->slots[i].handle)
            *blocks_slot(&bigger, blocks->slots[i].handle) = blocks->slots[i];
    }
    free(blocks->slots);
    *blocks = bigger;
    return 0;
}

/* Later entries of the same run move up, so that no tombstones pile up in a table that lives through millions
 * of removals. */
void blocks_remove(struct blocks *blocks, struct block *block)
{
    size_t mask = blocks->capacity - 1, hole = (size_t)(block - blocks->slots);
    for (size_t at = (hole + 1) & mask; blocks->slots[at].handle; at = (at + 1) & mask) {
        size_t home = (size_t)(blocks_home(blocks, blocks->slots[at].handle) - blocks->slots);
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
