/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lock-free maps from 64-bit hashes to ids, for interning: one of stacks and strings, and one of stack nodes, which tell their
 * hashes themselves and so take a quarter of the room. Entries are never removed.
 *
 * Open addressing in tables of which each is a half or a third larger than the one before; a new table is added when both windows that a key has in the newest are full, older ones stay
 * readable until all that they hold was moved, a little with each key that is put. Two threads may put one key at the same
 * time with different ids; then either may be found, which costs a duplicate and nothing else. Equal hashes are taken
 * for equal keys: with a well-mixed 64-bit hash, 100 000 stacks collide with probability 3e-10.
 *
 * Thread and signal safe, allocates by mmap only. Forked children begin with an empty map (index_forget()).
 */
#ifndef STRAY_PRELOAD_INDEX_H
#define STRAY_PRELOAD_INDEX_H

#include <stdbool.h>
#include <stdint.h>

/* 0: not there. */
uint32_t index_find(uint64_t key);
void index_put(uint64_t key, uint32_t id);

/* The same of ids, up to INDEX_ID_MAX, of which it can be told whether they are `what` is looked for, and what their keys are. */
#define INDEX_ID_MAX (1u << 22)
typedef bool index_test(uint32_t id, const void *what);
uint32_t index_find_id(uint64_t key, index_test *is, const void *what);
void index_put_id(uint64_t key, uint32_t id);
/* Defined by who puts ids. */
uint64_t index_key_of_id(uint32_t id);

/* All of both. */
void index_forget(void);
/* Drops all keys, and keeps the memory in place for whoever still looks: between two traces of one process. */
void index_clear(void);
/* Puts empty memory in its place: in a child as in spool_stand_in(). */
void index_stand_in(void);
/* Bytes of tables that are in use. */
uint64_t index_bytes(void);

/* Folds `value` into `hash`: a multiply and a fold of the high half (as in wyhash, Wang Yi, public domain). */
static inline uint64_t index_mix(uint64_t hash, uint64_t value)
{
    unsigned __int128 product = (unsigned __int128)(hash ^ 0x9e3779b97f4a7c15u) * (value ^ 0xe7037ed1a0b428dbu);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
