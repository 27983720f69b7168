/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The executable mappings of this process, known from /proc/self/maps and kept in private memory: for the trace, so that
 * addresses can be named offline, and for libunwind, so that it never asks the dynamic linker, whose lock another thread
 * may hold. Thread and signal safe; a refresh that another thread is making is not waited for.
 */
#ifndef STRAY_PRELOAD_MODULES_H
#define STRAY_PRELOAD_MODULES_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch.h"

/* When the process begins: defines what is mapped. */
void modules_begin(void);
/* Reads the mappings again and defines what is new or gone. True if it was done. */
bool modules_refresh(void);
/* Whether `address` lies in a mapping known to be executable. */
bool modules_know(uint64_t address);
/* The object whose known mapping holds `address`, with its program headers (none: it is not an object). */
bool modules_find(uint64_t address, struct dl_phdr_info *ret_object);
/* Says that something was unloaded: the next capture of a new stack looks again. */
void modules_unloaded(void);

/* Read together by whoever has no time. */
union modules_state {
    struct {
        uint32_t generation;
        uint32_t stale; /* enum in modules.c; 0: not */
    };
    uint64_t both; /* the generation where nothing is stale */
};
extern union modules_state modules_state ARCH_NEAR; /* atomic */

static inline bool modules_stale(void)
{
    return __atomic_load_n(&modules_state.stale, __ATOMIC_ACQUIRE) != 0;
}
/* Changes when what was learnt of an address may no longer hold: with the epoch, and in a forked child, where epochs begin
 * anew. Never returns to what it was. */
static inline uint32_t modules_generation(void)
{
    return __atomic_load_n(&modules_state.generation, __ATOMIC_ACQUIRE);
}
/* Both: like no generation where something is stale. */
static inline uint64_t modules_now(void)
{
    return __atomic_load_n(&modules_state.both, __ATOMIC_ACQUIRE);
}
/* dl_iterate_phdr() over the private list. */
int modules_iterate(int (*callback)(struct dl_phdr_info *info, size_t size, void *data), void *data);
/* Makes a forked child define all anew. */
void modules_forget(void);

#endif
