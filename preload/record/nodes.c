/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/nodes.h"

#include <stdbool.h>

#include "record/index.h"
#include "record/spool.h"
#include "sys.h"

#define RECENT_BITS 13

/* Nodes met lately, by their keys: the outer frames of a new stack are most often those of the one before. What stands here is
 * compared with the node itself. */
static _Alignas(STRAY_PAGE) uint32_t recent[1u << RECENT_BITS];

static bool is_node(uint32_t id, uint32_t parent, uint16_t kind, uint16_t flags, uint64_t value)
{
    if (id == 0)
        return false;
    const struct stray_node *node = spool_nodes() + (id - 1);
    return node->value == value && node->parent == parent && node->flags == flags &&
           __atomic_load_n(&node->kind, __ATOMIC_ACQUIRE) == kind;
}

static uint32_t add(uint32_t parent, uint16_t kind, uint16_t flags, uint64_t value)
{
    uint64_t index = __atomic_load_n(&spool->node_count, __ATOMIC_RELAXED);
    do
        if (index >= spool->nodes_capacity || !spool_reserve(SPOOL_NODES, (index + 1) * sizeof(struct stray_node)))
            return 0;
    while (!__atomic_compare_exchange_n(&spool->node_count, &index, index + 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    struct stray_node *node = spool_nodes() + index;
    node->value = value;
    node->parent = parent;
    node->flags = flags;
    __atomic_store_n(&node->kind, kind, __ATOMIC_RELEASE); /* now it exists */
    return (uint32_t)(index + 1);
}

uint32_t nodes_intern(uint32_t parent, uint16_t kind, uint16_t flags, uint64_t value)
{
    if (parent == 0 && kind != STRAY_NODE_ROOT)
        return 0;
    uint64_t key = index_mix(index_mix(value, parent), (uint32_t)kind << 16 | flags);
    uint32_t *place = &recent[key >> (64 - RECENT_BITS)], id = __atomic_load_n(place, __ATOMIC_RELAXED);
    if (is_node(id, parent, kind, flags, value))
        return id;
    id = index_find(key);
    if (id == 0 && (id = add(parent, kind, flags, value)) != 0)
        index_put(key, id);
    __atomic_store_n(place, id, __ATOMIC_RELAXED);
    return id;
}

void nodes_forget(void)
{
    if (sys_madvise(recent, sizeof(recent), MADV_DONTNEED) != 0)
        __builtin_memset(recent, 0, sizeof(recent));
}
