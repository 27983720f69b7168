/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lock for what is done seldom and never amid an event: one word, 0 when nobody holds it. Nobody sleeps for it. In a forked
 * child it may be held by a thread that is not there: those declared by LOCK are free there, and what they guard is sound at every
 * moment.
 */
#ifndef STRAY_PRELOAD_LOCK_H
#define STRAY_PRELOAD_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "sys.h"

#define LOCK_PATIENCE 10000

/* Defines a lock. They stand side by side, so that all are found. */
#define LOCK(name) static uint32_t name __attribute__((section("stray_locks"), used))
extern uint32_t locks_begin[] __asm__("__start_stray_locks") __attribute__((visibility("hidden")));
extern uint32_t locks_end[] __asm__("__stop_stray_locks") __attribute__((visibility("hidden")));

/* Async-signal-safe. */
static inline bool lock_try(uint32_t *lock)
{
    return !__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE);
}

/* Gives way to others some thousand times. False: its holder seems to be gone. */
static inline bool lock_take(uint32_t *lock)
{
    for (unsigned i = 0; i < LOCK_PATIENCE; i++) {
        if (lock_try(lock))
            return true;
        sys_yield();
    }
    return false;
}

static inline void lock_release(uint32_t *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

/* In a forked child, before anything else is done there: whoever held a lock is not there. */
static inline void locks_forked(void)
{
    for (uint32_t *lock = locks_begin; lock < locks_end; lock++)
        lock_release(lock);
}

#endif
