/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/nodes.h"

#include "record/index.h"
#include "record/spool.h"

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
    uint32_t id = index_find(key);
    if (id == 0 && (id = add(parent, kind, flags, value)) != 0)
        index_put(key, id);
    return id;
}
