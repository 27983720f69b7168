/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * own_pairs CALLS: the nanoseconds of processor time that a call takes which is no event, and a pair of an acquire and a release,
 * of functions that do nothing.
 */
#include "own_pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static __attribute__((noinline)) void calls(long times)
{
    for (long i = 0; i < times; i++)
        own_fail();
}

static __attribute__((noinline)) void pairs(long times)
{
    for (long i = 0; i < times; i++)
        own_close(own_open());
}

static double measured(void (*function)(long), long times)
{
    function(times / 10);
    double begin = now();
    function(times);
    return (now() - begin) / (double)times;
}

int main(int argc, char **argv)
{
    long times = argc > 1 ? atol(argv[1]) : 1000000;
    printf("call %.1f pair %.1f\n", measured(calls, times), measured(pairs, times));
    return 0;
}
