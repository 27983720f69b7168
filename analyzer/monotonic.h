/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The time since some moment in the past, by a clock that nobody sets: for waits and for how long something took. Thread and signal
 * safe.
 */
#ifndef STRAY_MONOTONIC_H
#define STRAY_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline uint64_t monotonic_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline double monotonic_s(void)
{
    return (double)monotonic_ns() / 1e9;
}

#endif
