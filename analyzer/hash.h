/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * FNV-1a, 64 bits (Fowler, Noll, Vo; public domain): for tables in memory and for ids that are the same in every trace.
 * Pure.
 */
#ifndef STRAY_HASH_H
#define STRAY_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_BEGIN 0xcbf29ce484222325u

static inline uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *p = data;
    while (size-- > 0)
        hash = (hash ^ *p++) * 0x100000001b3u;
    return hash;
}

/* With the closing NUL; NULL is told from every string. */
static inline uint64_t hash_text(uint64_t hash, const char *text)
{
    return text ? hash_bytes(hash, text, strlen(text) + 1) : hash_bytes(hash, "\1", 1);
}

#endif
