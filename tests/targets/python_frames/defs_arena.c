/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "defs_arena.h"

#include <string.h>

#define ARENA_BYTES (256u << 20) /* touched as far as it is used */
#define ARENA_DEFS  (1u << 20)

static uint8_t arena[ARENA_BYTES];
static struct {
    size_t offset, size;
} defs[ARENA_DEFS];
static size_t used;
static uint32_t count;

uint32_t defs_add(uint16_t type, const struct iovec *parts, unsigned parts_count)
{
    size_t size = 0;
    for (unsigned i = 0; i < parts_count; i++)
        size += parts[i].iov_len;
    size_t offset = __atomic_fetch_add(&used, size, __ATOMIC_RELAXED);
    uint32_t id = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
    if (offset + size > ARENA_BYTES || id >= ARENA_DEFS)
        return 0;
    defs[id].offset = offset;
    defs[id].size = size;
    for (unsigned i = 0; i < parts_count; i++) {
        memcpy(arena + offset, parts[i].iov_base, parts[i].iov_len);
        offset += parts[i].iov_len;
    }
    return id;
}

const uint8_t *defs_arena_payload(uint32_t id, size_t *ret_size)
{
    if (id == 0 || id >= ARENA_DEFS || id > count)
        return NULL;
    *ret_size = defs[id].size;
    return arena + defs[id].offset;
}

uint32_t defs_arena_count(void)
{
    return count;
}

void defs_arena_clear(void)
{
    used = 0;
    count = 0;
}
