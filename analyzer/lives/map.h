/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hash map from 64-bit keys to 32-bit values, for indexes into arrays. Nothing is ever removed. A zeroed
 * struct is an empty map. Not thread safe.
 */
#ifndef STRAY_LIVES_MAP_H
#define STRAY_LIVES_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    uint64_t key;
    uint32_t value;
    uint32_t used;
};

struct map {
    struct map_slot *slots;
    size_t capacity, count; /* capacity: 0 or a power of two */
};

/* False if `key` is not there. */
bool map_get(const struct map *map, uint64_t key, uint32_t *ret_value);
/* Adds or replaces. -ENOMEM leaves the map as it was. */
int map_put(struct map *map, uint64_t key, uint32_t value);
/* Frees what the map holds and leaves it empty. */
void map_clear(struct map *map);

#endif
