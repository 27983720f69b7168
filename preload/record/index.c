/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/index.h"

#include <stdbool.h>
#include <stddef.h>

#include "sys.h"

#define TABLES     14
#define FIRST_BITS 12
#define WINDOW     64u  /* long enough for tables to become three quarters full */
#define LARGE      (4u << 20) /* bytes */
#define CHUNK      128u /* slots of a smaller table that a put moves */

struct slot {
    uint64_t key; /* 0: free; written once */
    uint32_t id;  /* 0: being written */
    uint32_t reserved;
};

static struct slot *tables[TABLES];
static uint32_t newest; /* index of the table that takes new keys */
static uint32_t oldest; /* of the smallest one that may hold keys which no larger one has */
static struct {
    uint32_t begun, done; /* chunks */
} moved[TABLES];

static uint64_t table_slots(unsigned table)
{
    return (uint64_t)1 << (FIRST_BITS + table);
}

static uint64_t table_bytes(unsigned table)
{
    return (table_slots(table) + WINDOW) * sizeof(struct slot);
}

static struct slot *window(unsigned table, uint64_t key)
{
    struct slot *slots = __atomic_load_n(&tables[table], __ATOMIC_ACQUIRE);
    return slots ? slots + (key >> (64 - FIRST_BITS - table)) : NULL;
}

static uint32_t find_in(unsigned table, uint64_t key)
{
    struct slot *slot = window(table, key);
    for (unsigned i = 0; slot && i < WINDOW; i++) {
        uint64_t have = __atomic_load_n(&slot[i].key, __ATOMIC_ACQUIRE);
        if (have == key)
            return __atomic_load_n(&slot[i].id, __ATOMIC_ACQUIRE);
        if (have == 0)
            return 0;
    }
    return 0;
}

static bool put_in(unsigned table, uint64_t key, uint32_t id)
{
    struct slot *slot = window(table, key);
    for (unsigned i = 0; slot && i < WINDOW; i++) {
        uint64_t have = 0;
        if (__atomic_compare_exchange_n(&slot[i].key, &have, key, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
            have == key) {
            __atomic_store_n(&slot[i].id, id, __ATOMIC_RELEASE);
            return true;
        }
    }
    return false;
}

/* Adds table `table` if it is not there; the loser of a race gives its memory back. */
static bool add_table(unsigned table)
{
    if (table >= TABLES)
        return false;
    struct slot *none = NULL, *slots = sys_memory(table_bytes(table));
    if (!slots)
        return false;
    sys_madvise(slots, table_bytes(table), MADV_DONTFORK);
    if (table_bytes(table) >= LARGE) /* what is looked up is all over it */
        sys_madvise(slots, table_bytes(table), MADV_HUGEPAGE);
    if (!__atomic_compare_exchange_n(&tables[table], &none, slots, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        sys_munmap(slots, table_bytes(table));
    return true;
}

uint32_t index_find(uint64_t key)
{
    unsigned top = __atomic_load_n(&newest, __ATOMIC_ACQUIRE), bottom = __atomic_load_n(&oldest, __ATOMIC_ACQUIRE);
    key |= key == 0;
    uint32_t id = find_in(top, key);
    for (unsigned table = top; id == 0 && table-- > bottom;)
        id = find_in(table, key);
    return id;
}

static void move_chunk(unsigned table, uint32_t chunk, unsigned top)
{
    uint64_t begin = (uint64_t)chunk * CHUNK, end = begin + CHUNK, slots = table_slots(table) + WINDOW;
    for (uint64_t i = begin; i < end && i < slots; i++) {
        const struct slot *slot = &tables[table][i];
        uint64_t key = __atomic_load_n(&slot->key, __ATOMIC_ACQUIRE);
        uint32_t id = __atomic_load_n(&slot->id, __ATOMIC_ACQUIRE);
        if (key != 0 && id != 0)
            put_in(top, key, id);
    }
}

/* Each put moves a little of what a smaller table holds, so that there is soon but one to look into. */
static void move_some(unsigned top)
{
    uint32_t table = __atomic_load_n(&oldest, __ATOMIC_ACQUIRE);
    if (__builtin_expect(table >= top, 1))
        return;
    uint32_t chunks = (uint32_t)((table_slots(table) + WINDOW + CHUNK - 1) / CHUNK);
    uint32_t chunk = __atomic_fetch_add(&moved[table].begun, 1, __ATOMIC_ACQ_REL);
    if (chunk >= chunks)
        return; /* the last ones are on their way */
    move_chunk(table, chunk, top);
    if (__atomic_add_fetch(&moved[table].done, 1, __ATOMIC_ACQ_REL) == chunks)
        __atomic_store_n(&oldest, table + 1, __ATOMIC_RELEASE);
}

void index_put(uint64_t key, uint32_t id)
{
    key |= key == 0;
    unsigned top = __atomic_load_n(&newest, __ATOMIC_ACQUIRE);
    move_some(top);
    if (put_in(top, key, id))
        return;
    unsigned next = __atomic_load_n(&tables[top], __ATOMIC_ACQUIRE) ? top + 1 : top;
    if (!add_table(next))
        return; /* not interned: costs duplicates, loses nothing */
    __atomic_compare_exchange_n(&newest, &top, next, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    put_in(next, key, id);
}

void index_forget(void)
{
    __builtin_memset(tables, 0, sizeof(tables));
    __builtin_memset(moved, 0, sizeof(moved));
    newest = oldest = 0;
}

/* The largest table goes on to be used. */
void index_clear(void)
{
    for (unsigned table = 0; table < TABLES; table++)
        if (tables[table])
            sys_madvise(tables[table], table_bytes(table), MADV_DONTNEED);
    __builtin_memset(moved, 0, sizeof(moved));
    oldest = newest;
}

uint64_t index_bytes(void)
{
    uint64_t bytes = 0;
    for (unsigned table = 0; table < TABLES; table++)
        bytes += tables[table] ? table_bytes(table) : 0;
    return bytes;
}

void index_stand_in(void)
{
    for (unsigned table = 0; table < TABLES; table++)
        if (tables[table])
            sys_memory_at(tables[table], table_bytes(table));
}
