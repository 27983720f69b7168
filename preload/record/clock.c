/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/clock.h"

#define SHORT 10000 /* parts of a second: in so little, the first rate is wrong by a microsecond or so */

bool clock_is_ticks;
uint64_t clock_ticks_per_second = 1000000000u;
static uint64_t first_nanoseconds, first_ticks; /* one instant */

/* A short spin is enough: the rate only paces samples. Where a seccomp filter refuses to tell the time, a common one. */
static uint64_t measure_rate(void)
{
    uint64_t begin = sys_nanoseconds(CLOCK_MONOTONIC), ticks = arch_ticks_before(), now;
    if (begin == 0)
        return 2000000000u;
    do
        now = sys_nanoseconds(CLOCK_MONOTONIC);
    while (now - begin < 100000);
    return (arch_ticks_after() - ticks) * 1000000000u / (now - begin);
}

void clock_init(void)
{
    clock_is_ticks = arch_ticks_invariant();
    if (clock_is_ticks)
        clock_ticks_per_second = measure_rate();
    first_nanoseconds = sys_nanoseconds(CLOCK_MONOTONIC);
    first_ticks = clock_before();
}

/* By the rate since the beginning, which is the better the longer the span; what is short need not ask the kernel for it. */
uint64_t clock_microseconds(uint64_t ticks)
{
    if (ticks < clock_ticks_per_second / SHORT)
        return (ticks * 1000000u + clock_ticks_per_second - 1) / clock_ticks_per_second;
    uint64_t nanoseconds = sys_nanoseconds(CLOCK_MONOTONIC) - first_nanoseconds, passed = clock_after() - first_ticks;
    if (passed == 0 || ticks > passed)
        return 0;
    return (uint64_t)(((unsigned __int128)ticks * nanoseconds / passed + 999) / 1000);
}
