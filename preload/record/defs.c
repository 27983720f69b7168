/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/defs.h"

#include <stddef.h>

#include "record/index.h"
#include "record/spool.h"
#include "text.h"
#include "stray/wire.h"

static uint32_t epoch;

uint32_t defs_epoch(void)
{
    return __atomic_load_n(&epoch, __ATOMIC_RELAXED);
}

void defs_next_epoch(void)
{
    __atomic_fetch_add(&epoch, 1, __ATOMIC_RELAXED);
}

void defs_forget(void)
{
    epoch = 0;
}

static uint64_t parts_size(const struct iovec *parts, unsigned count)
{
    uint64_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

/* The magic number is stored last: what has none is not there. */
static void fill(struct stray_def_header *header, uint16_t type, const struct iovec *parts, unsigned count)
{
    char *out = (char *)(header + 1);
    for (unsigned i = 0; i < count; i++) {
        __builtin_memcpy(out, parts[i].iov_base, parts[i].iov_len);
        out += parts[i].iov_len;
    }
    header->type = type;
    header->size = (uint32_t)(out - (char *)(header + 1));
    header->epoch = defs_epoch();
    header->crc = stray_crc32c(0, &header->type, 6); /* type and size */
    header->crc = stray_crc32c(header->crc, header + 1, header->size);
    __atomic_store_n(&header->magic, STRAY_DEF_MAGIC, __ATOMIC_RELEASE);
}

uint32_t defs_add(uint16_t type, const struct iovec *parts, unsigned count)
{
    uint64_t size = (sizeof(struct stray_def_header) + parts_size(parts, count) + 15) & ~(uint64_t)15;
    if (!spool || size > spool->defs_capacity)
        return 0;
    uint64_t at = __atomic_load_n(&spool->defs_used, __ATOMIC_RELAXED);
    do
        if (at + size > spool->defs_capacity || !spool_reserve(SPOOL_DEFS, at + size))
            return 0;
    while (!__atomic_compare_exchange_n(&spool->defs_used, &at, at + size, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    fill((struct stray_def_header *)(spool_defs() + at), type, parts, count);
    return (uint32_t)(at / 16 + 1);
}

uint32_t defs_string(uint16_t type, const char *string)
{
    uint64_t key = index_mix(string_hash(string), type);
    uint32_t id = index_find(key);
    if (id)
        return id;
    struct iovec part = {(void *)(uintptr_t)string, string_length(string) + 1};
    id = defs_add(type, &part, 1);
    if (id)
        index_put(key, id);
    return id;
}
