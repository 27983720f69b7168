/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/index.h"

#include <stdbool.h>
#include <stddef.h>

#include "sys.h"

#define TABLES     28   /* of 4096 slots, 6144, 8192, 12288, ... */
#define FIRST_BITS 12
#define WINDOW     48u  /* of slots; a key whose first one is full has a second one elsewhere, so tables become four fifths full */
#define WINDOWS    2u
#define LARGE      (4u << 20) /* bytes */
#define CHUNK      128u /* slots of a smaller table that a put moves */

struct map;

/* What a map's slots are. Zeroed ones are free. */
struct slots {
    size_t size;
    /* Puts the id into the window that begins at `slot`. False: there is no room. */
    bool (*put)(void *slot, uint64_t key, uint32_t id);
    /* Puts what `slot` holds into the newest table. */
    void (*move)(struct map *map, const void *slot);
};

struct map {
    const struct slots *slots;
    void *tables[TABLES];
    uint32_t newest; /* index of the table that takes new keys */
    uint32_t oldest; /* of the smallest one that may hold keys which no larger one has */
    struct {
        uint32_t begun, done; /* chunks */
    } moved[TABLES];
};

static uint64_t table_slots(unsigned table)
{
    return (uint64_t)(2 + table % 2) << (FIRST_BITS - 1 + table / 2);
}

static uint64_t table_bytes(const struct map *map, unsigned table)
{
    return (table_slots(table) + WINDOW) * map->slots->size;
}

static void *slot_at(const struct map *map, unsigned table, uint64_t place)
{
    char *slots = __atomic_load_n(&map->tables[table], __ATOMIC_ACQUIRE);
    return slots ? slots + place * map->slots->size : NULL;
}

static void *window(const struct map *map, unsigned table, unsigned which, uint64_t key)
{
    uint64_t hash = which == 0 ? key : key * 0x9e3779b97f4a7c15u;
    return slot_at(map, table, (uint64_t)((unsigned __int128)hash * table_slots(table) >> 64));
}

static bool put_in(struct map *map, unsigned table, uint64_t key, uint32_t id)
{
    for (unsigned which = 0; which < WINDOWS; which++) {
        void *slot = window(map, table, which, key);
        if (slot && map->slots->put(slot, key, id))
            return true;
    }
    return false;
}

/* Adds table `table` if it is not there; the loser of a race gives its memory back. */
static bool add_table(struct map *map, unsigned table)
{
    if (table >= TABLES)
        return false;
    void *none = NULL, *slots = sys_memory(table_bytes(map, table));
    if (!slots)
        return false;
    sys_madvise(slots, table_bytes(map, table), MADV_DONTFORK);
    if (table_bytes(map, table) >= LARGE) /* what is looked up is all over it */
        sys_madvise(slots, table_bytes(map, table), MADV_HUGEPAGE);
    if (!__atomic_compare_exchange_n(&map->tables[table], &none, slots, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        sys_munmap(slots, table_bytes(map, table));
    return true;
}

/* Adds the table after `top`, or `top` itself if there is none yet, and makes it the newest. False: there is no memory. */
static bool add_newest(struct map *map, unsigned top)
{
    unsigned next = __atomic_load_n(&map->tables[top], __ATOMIC_ACQUIRE) ? top + 1 : top;
    if (!add_table(map, next))
        return false;
    __atomic_compare_exchange_n(&map->newest, &top, next, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
    return true;
}

/* Into the newest table, or into one more where that is full. What was put while another became the newest may have come too late to
 * be moved: it is put again. Not interned: costs duplicates, loses nothing. */
static void put_newest(struct map *map, uint64_t key, uint32_t id)
{
    unsigned top = __atomic_load_n(&map->newest, __ATOMIC_ACQUIRE), put = TABLES;
    while (top != put) {
        if (put_in(map, top, key, id))
            put = top;
        else if (!add_newest(map, top))
            return;
        __atomic_thread_fence(__ATOMIC_SEQ_CST); /* either this sees the newer table, or whoever moves sees the key */
        top = __atomic_load_n(&map->newest, __ATOMIC_ACQUIRE);
    }
}

static void move_chunk(struct map *map, unsigned table, uint32_t chunk)
{
    uint64_t begin = (uint64_t)chunk * CHUNK, end = begin + CHUNK, slots = table_slots(table) + WINDOW;
    for (uint64_t i = begin; i < end && i < slots; i++)
        map->slots->move(map, slot_at(map, table, i));
}

/* Each put moves a little of what a smaller table holds, so that there is soon but one to look into. An emptied one gives its
 * pages back: who looks into it yet finds nothing there, as if what it held had not been put. */
static void move_some(struct map *map)
{
    uint32_t table = __atomic_load_n(&map->oldest, __ATOMIC_ACQUIRE);
    if (__builtin_expect(table >= __atomic_load_n(&map->newest, __ATOMIC_ACQUIRE), 1))
        return;
    uint32_t chunks = (uint32_t)((table_slots(table) + WINDOW + CHUNK - 1) / CHUNK);
    uint32_t chunk = __atomic_fetch_add(&map->moved[table].begun, 1, __ATOMIC_ACQ_REL);
    if (chunk >= chunks)
        return; /* the last ones are on their way */
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* see put_newest() */
    move_chunk(map, table, chunk);
    if (__atomic_add_fetch(&map->moved[table].done, 1, __ATOMIC_ACQ_REL) != chunks)
        return;
    __atomic_store_n(&map->oldest, table + 1, __ATOMIC_RELEASE);
    sys_madvise(map->tables[table], table_bytes(map, table), MADV_DONTNEED);
}

static void put(struct map *map, uint64_t key, uint32_t id)
{
    move_some(map);
    put_newest(map, key, id);
}

/* ---- keys and their ids ---- */

struct pair {
    uint64_t key; /* 0: free; written once */
    uint32_t id;  /* 0: being written */
    uint32_t reserved;
};

static bool put_pair(void *slot, uint64_t key, uint32_t id)
{
    struct pair *pair = slot;
    for (unsigned i = 0; i < WINDOW; i++) {
        uint64_t have = 0;
        if (__atomic_compare_exchange_n(&pair[i].key, &have, key, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
            have == key) {
            __atomic_store_n(&pair[i].id, id, __ATOMIC_RELEASE);
            return true;
        }
    }
    return false;
}

static void move_pair(struct map *map, const void *slot)
{
    const struct pair *pair = slot;
    uint64_t key = __atomic_load_n(&pair->key, __ATOMIC_ACQUIRE);
    uint32_t id = __atomic_load_n(&pair->id, __ATOMIC_ACQUIRE);
    if (key != 0 && id != 0)
        put_newest(map, key, id);
}

static const struct slots pair_slots = {sizeof(struct pair), put_pair, move_pair};
static struct map pairs = {.slots = &pair_slots};

/* Whether it is known now what the table has: a window that is not full is the last one. */
static bool look_for_pair(const struct pair *pair, uint64_t key, uint32_t *ret_id)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        uint64_t have = __atomic_load_n(&pair[i].key, __ATOMIC_ACQUIRE);
        if (have == key)
            *ret_id = __atomic_load_n(&pair[i].id, __ATOMIC_ACQUIRE);
        if (have == key || have == 0)
            return true;
    }
    return false;
}

static uint32_t find_pair(unsigned table, uint64_t key)
{
    uint32_t id = 0;
    for (unsigned which = 0; which < WINDOWS; which++) {
        const struct pair *pair = window(&pairs, table, which, key);
        if (!pair || look_for_pair(pair, key, &id))
            break;
    }
    return id;
}

uint32_t index_find(uint64_t key)
{
    unsigned top = __atomic_load_n(&pairs.newest, __ATOMIC_ACQUIRE), bottom = __atomic_load_n(&pairs.oldest, __ATOMIC_ACQUIRE);
    key |= key == 0;
    uint32_t id = find_pair(top, key);
    for (unsigned table = top; id == 0 && table-- > bottom;)
        id = find_pair(table, key);
    return id;
}

void index_put(uint64_t key, uint32_t id)
{
    put(&pairs, key | (key == 0), id);
}

/* ---- ids that know their keys ---- */

/* A slot is one word: 10 bits of the key, never 0, over the id less one. */
#define ID_BITS 22
_Static_assert(INDEX_ID_MAX == 1u << ID_BITS, "what an id takes");

static uint32_t tag_of(uint64_t key)
{
    return ((uint32_t)key % 1023 + 1) << ID_BITS;
}

static bool put_id(void *slot, uint64_t key, uint32_t id)
{
    uint32_t *word = slot, wanted = tag_of(key) | (id - 1);
    for (unsigned i = 0; i < WINDOW; i++) {
        uint32_t have = 0;
        if (__atomic_compare_exchange_n(&word[i], &have, wanted, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) || have == wanted)
            return true;
    }
    return false;
}

static void move_id(struct map *map, const void *slot)
{
    uint32_t word = __atomic_load_n((const uint32_t *)slot, __ATOMIC_ACQUIRE), id = (word & (INDEX_ID_MAX - 1)) + 1;
    if (word != 0)
        put_newest(map, index_key_of_id(id), id);
}

static const struct slots id_slots = {sizeof(uint32_t), put_id, move_id};
static struct map ids = {.slots = &id_slots};

/* As look_for_pair(). */
static bool look_for_id(const uint32_t *word, uint32_t tag, index_test *is, const void *what, uint32_t *ret_id)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        uint32_t have = __atomic_load_n(&word[i], __ATOMIC_ACQUIRE), id = (have & (INDEX_ID_MAX - 1)) + 1;
        if (have == 0)
            return true;
        if (have - (id - 1) == tag && is(id, what)) {
            *ret_id = id;
            return true;
        }
    }
    return false;
}

static uint32_t find_id(unsigned table, uint64_t key, index_test *is, const void *what)
{
    uint32_t id = 0;
    for (unsigned which = 0; which < WINDOWS; which++) {
        const uint32_t *word = window(&ids, table, which, key);
        if (!word || look_for_id(word, tag_of(key), is, what, &id))
            break;
    }
    return id;
}

uint32_t index_find_id(uint64_t key, index_test *is, const void *what)
{
    unsigned top = __atomic_load_n(&ids.newest, __ATOMIC_ACQUIRE), bottom = __atomic_load_n(&ids.oldest, __ATOMIC_ACQUIRE);
    uint32_t id = find_id(top, key, is, what);
    for (unsigned table = top; id == 0 && table-- > bottom;)
        id = find_id(table, key, is, what);
    return id;
}

void index_put_id(uint64_t key, uint32_t id)
{
    if (id <= INDEX_ID_MAX)
        put(&ids, key, id);
}

/* ---- all of it ---- */

static uint64_t bytes_of(const struct map *map)
{
    uint64_t bytes = 0;
    for (unsigned table = map->oldest; table < TABLES; table++)
        bytes += map->tables[table] ? table_bytes(map, table) : 0;
    return bytes;
}

/* The largest table goes on to be used. */
static void clear(struct map *map)
{
    for (unsigned table = 0; table < TABLES; table++)
        if (map->tables[table])
            sys_madvise(map->tables[table], table_bytes(map, table), MADV_DONTNEED);
    __builtin_memset(map->moved, 0, sizeof(map->moved));
    map->oldest = map->newest;
}

void index_clear(void)
{
    clear(&pairs);
    clear(&ids);
}

uint64_t index_bytes(void)
{
    return bytes_of(&pairs) + bytes_of(&ids);
}

void index_forget(void)
{
    pairs = (struct map){.slots = &pair_slots};
    ids = (struct map){.slots = &id_slots};
}

static void stand_in(const struct map *map)
{
    for (unsigned table = 0; table < TABLES; table++)
        if (map->tables[table])
            sys_memory_at(map->tables[table], table_bytes(map, table));
}

void index_stand_in(void)
{
    stand_in(&pairs);
    stand_in(&ids);
}
