/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Event times. The order of stamps is the order of events for any one handle: an acquire is stamped after the real
 * call, a release before it. Thread and signal safe.
 */
#ifndef STRAY_PRELOAD_CLOCK_H
#define STRAY_PRELOAD_CLOCK_H

#include "sys.h"

extern bool clock_is_ticks ARCH_NEAR; /* set once, before the first stamp */
extern uint64_t clock_ticks_per_second;

/* Chooses the counter and learns its rate (roughly: the analyzer calibrates by clock pairs). */
void clock_init(void);

/* Ticks that have just passed, at most since clock_init(), as microseconds rounded up: exact to a microsecond or so. One system
 * call at most. */
uint64_t clock_microseconds(uint64_t ticks);

static inline uint64_t clock_before(void)
{
    return __builtin_expect(clock_is_ticks, 1) ? arch_ticks_before() : sys_nanoseconds(CLOCK_MONOTONIC);
}
static inline uint64_t clock_after(void)
{
    return __builtin_expect(clock_is_ticks, 1) ? arch_ticks_after() : sys_nanoseconds(CLOCK_MONOTONIC);
}


/* A part of a second: frames of a process with one thread tell times in steps that are no finer. */
#define CLOCK_FINEST (UINT64_C(1) << 22)

/* A time for what is told right after an event of `time`, of the same thread: the two keep their order, whichever frames hold them. */
static inline uint64_t clock_next(uint64_t time)
{
    return time + clock_ticks_per_second / CLOCK_FINEST + 1;
}

#endif
