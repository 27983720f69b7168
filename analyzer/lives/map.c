/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/map.h"

#include <errno.h>
#include <stdlib.h>

static size_t slot_of(const struct map *map, uint64_t key)
{
    uint64_t mixed = key * 0x9e3779b97f4a7c15u;
    size_t mask = map->capacity - 1;
    size_t at = (size_t)(mixed ^ (mixed >> 29)) & mask;
    while (map->slots[at].used && map->slots[at].key != key)
        at = (at + 1) & mask;
    return at;
}

bool map_get(const struct map *map, uint64_t key, uint32_t *ret_value)
{
    if (map->count == 0)
        return false;
    const struct map_slot *slot = &map->slots[slot_of(map, key)];
    if (!slot->used)
        return false;
    *ret_value = slot->value;
    return true;
}

static int grow(struct map *map)
{
    struct map bigger = {.capacity = map->capacity ? 2 * map->capacity : 64, .count = map->count};
    bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].used)
            bigger.slots[slot_of(&bigger, map->slots[i].key)] = map->slots[i];
    }
    free(map->slots);
    *map = bigger;
    return 0;
}

int map_put(struct map *map, uint64_t key, uint32_t value)
{
    if (2 * (map->count + 1) > map->capacity) {
        int result = grow(map);
        if (result < 0)
            return result;
    }
    struct map_slot *slot = &map->slots[slot_of(map, key)];
    map->count += !slot->used;
    *slot = (struct map_slot){.key = key, .value = value, .used = 1};
    return 0;
}

void map_clear(struct map *map)
{
    free(map->slots);
    *map = (struct map){0};
}
