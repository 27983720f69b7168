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

static bool is_node(uint32_t id, const void *what)
{
    const struct stray_node *wanted = what, *node = spool_nodes() + (id - 1);
    return node->value == wanted->value && node->parent == wanted->parent && node->flags == wanted->flags &&
           __atomic_load_n(&node->kind, __ATOMIC_ACQUIRE) == wanted->kind;
}

static uint64_t key_of(const struct stray_node *node)
{
    return index_mix(index_mix(node->value, node->parent), (uint32_t)node->kind << 16 | node->flags);
}

uint64_t index_key_of_id(uint32_t id)
{
    return key_of(spool_nodes() + (id - 1));
}

static uint32_t add(const struct stray_node *wanted)
{
    uint64_t index = __atomic_load_n(&spool->node_count, __ATOMIC_RELAXED);
    do
        if (index >= spool->nodes_capacity || !spool_reserve(SPOOL_NODES, (index + 1) * sizeof(struct stray_node)))
            return 0;
    while (!__atomic_compare_exchange_n(&spool->node_count, &index, index + 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    struct stray_node *node = spool_nodes() + index;
    node->value = wanted->value;
    node->parent = wanted->parent;
    node->flags = wanted->flags;
    __atomic_store_n(&node->kind, wanted->kind, __ATOMIC_RELEASE); /* now it exists */
    return (uint32_t)(index + 1);
}

uint32_t nodes_intern(uint32_t parent, uint16_t kind, uint16_t flags, uint64_t value)
{
    if (parent == 0 && kind != STRAY_NODE_ROOT)
        return 0;
    struct stray_node wanted = {.value = value, .parent = parent, .kind = kind, .flags = flags};
    uint64_t key = key_of(&wanted);
    uint32_t *place = &recent[key >> (64 - RECENT_BITS)], id = __atomic_load_n(place, __ATOMIC_RELAXED);
    if (id != 0 && is_node(id, &wanted))
        return id;
    id = index_find_id(key, is_node, &wanted);
    if (id == 0 && (id = add(&wanted)) != 0)
        index_put_id(key, id);
    __atomic_store_n(place, id, __ATOMIC_RELAXED);
    return id;
}

void nodes_forget(void)
{
    if (sys_madvise(recent, sizeof(recent), MADV_DONTNEED) != 0)
        __builtin_memset(recent, 0, sizeof(recent));
}
