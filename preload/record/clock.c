/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/clock.h"

bool clock_is_ticks;
uint64_t clock_ticks_per_second = 1000000000u;

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
}
