/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that is freed all at once: names and paths live as long as the object that found them.
 * Not thread safe.
 */
#ifndef STRAY_NAMES_ARENA_H
#define STRAY_NAMES_ARENA_H

#include <stddef.h>

struct arena_block;

/* Zeroed, it is empty and ready. */
struct arena {
    struct arena_block *newest;
};

/* `size` zeroed bytes, aligned for any type; NULL without memory. */
void *arena_alloc(struct arena *arena, size_t size);
/* The `length` bytes at `text` with a NUL behind them; NULL without memory. */
char *arena_copy(struct arena *arena, const char *text, size_t length);
void arena_free(struct arena *arena);

#endif
