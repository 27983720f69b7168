/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A lock for what is done seldom and never amid an event: one word, 0 when nobody holds it. Nobody sleeps for it. In a forked
 * child it may be held by a thread that is not there.
 */
#ifndef STRAY_PRELOAD_LOCK_H
#define STRAY_PRELOAD_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "sys.h"

#define LOCK_PATIENCE 10000

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

#endif
