/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that wait for events, as event loops do: noted, so that calls that keep them from it can be told. The rules of
 * wrap.h hold.
 */
#ifndef STRAY_PRELOAD_HOOKS_WAITING_H
#define STRAY_PRELOAD_HOOKS_WAITING_H

#include "hooks/wrap.h"
#include "record/spool.h"
#include "record/young.h"

#define WAITING_OFTEN 3u
#define WAITING_OTHER (-1) /* what is waited on is no epoll descriptor */

struct waiting {
    uint64_t told; /* event time */
    uint32_t owner;
    uint32_t since; /* waits since it was told */
    uint32_t count; /* waits of this owner, up to WAITING_OFTEN */
    int32_t loop;   /* the epoll descriptor that it waits on, as an event loop does */
    uint32_t loop_count, elsewhere_count; /* waits on it, and on other ones in a row, both up to WAITING_OFTEN */
};

extern struct waiting waiting_threads[SPOOL_LANES_MAX]; /* by lane number; written by the lane's owner */

/* After this thread has waited in `hook` on the epoll descriptor `on`, or WAITING_OTHER. Leaves errno alone. */
void waiting_note(uint16_t hook, int on);
/* After a call on `fd` (-1: none) that began at `begin`, that of waiting_begin(). Leaves errno alone. */
void waiting_kept(uint16_t hook, int fd, uint64_t begin, const void *caller);

/* Before a call that may take long. */
static inline void waiting_inside_libpq(void)
{
    if (thread_self.libpq_depth != 0)
        young_time_passes();
}

/* Whether this thread has waited often, and is not inside libpq, whose calls are timed as such. A lane may have had another
 * owner. In a forked child it is its parent's, and not mapped, until the child's trace begins, if it ever does. */
static inline bool waiting_often(void)
{
    const struct stray_lane *lane = thread_self.lane;
    if (!lane || !(__atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_TRACED) || lane->number >= SPOOL_LANES_MAX || thread_self.libpq_depth != 0)
        return false;
    const struct waiting *row = &waiting_threads[lane->number];
    return UNLIKELY(row->count >= WAITING_OFTEN) && row->owner == lane->owner;
}

/* Before a call that may keep an event loop; 0: this thread is none. */
static inline uint64_t waiting_begin(void)
{
    waiting_inside_libpq();
    return waiting_often() ? clock_before() : 0;
}

/* The same before a wait for something else than the events of the loop that this thread is: for one answer, as a client's
 * library does that has a time limit. */
static inline uint64_t waiting_begin_elsewhere(int on)
{
    waiting_inside_libpq();
    if (!waiting_often())
        return 0;
    const struct waiting *row = &waiting_threads[thread_self.lane->number];
    return row->loop_count >= WAITING_OFTEN && row->loop != on ? clock_before() : 0;
}

/* ---- for other threads, which may have what this one wants: a connection of a pool ---- */

extern uint32_t awaiting_matters; /* a PGconn has been opened: no other program is asked how long its threads wait */

/* Before a call that waits for another thread; 0: how long does not matter. */
static inline uint64_t awaiting_begin(void)
{
    waiting_inside_libpq();
    if (LIKELY(!__atomic_load_n(&awaiting_matters, __ATOMIC_RELAXED)) || thread_self.libpq_depth != 0 || thread_self.flags != 0 ||
        !(__atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_TRACED))
        return 0;
    return clock_before();
}

/* After it, with what that gave. Leaves errno alone. */
void awaiting_over(uint16_t hook, uint64_t begin, const void *caller);

/* ---- */

/* What the hook `id` waits on, whose first argument is `first`. */
#define WAITING_ON(id, first) ((id) >= STRAY_HOOK_epoll_wait && (id) <= STRAY_HOOK_epoll_pwait2 ? (int)(intptr_t)(first) : WAITING_OTHER)

#endif
