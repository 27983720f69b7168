/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attached SHIM FOLDER [PAIRS]: processor time of a pair of malloc and free in one thread, in nanoseconds, before it is attached to, while
 * it is, and after; and of each attach and detach, by the clock, in milliseconds. Medians of nine rounds, each with a trace of its own.
 */
#include <stdint.h>
#include <time.h>

#include "../targets/traced/attach.h"

#define ROUNDS 9

enum { BEFORE, WHILE, AFTER, BEGIN, END, FIGURES };

static const char *const names[FIGURES] = {"before, ns a pair", "while, ns a pair", "after, ns a pair", "attach, ms", "detach, ms"};
static double figures[FIGURES][ROUNDS];

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double pair_ns(long pairs)
{
    double begin = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (long i = 0; i < pairs; i++)
        free(malloc(64));
    return (seconds(CLOCK_THREAD_CPUTIME_ID) - begin) * 1e9 / (double)pairs;
}

static double call_ms(int (*call)(struct attach *), struct attach *attach)
{
    double begin = seconds(CLOCK_MONOTONIC);
    MUST(call(attach) >= 0);
    return (seconds(CLOCK_MONOTONIC) - begin) * 1e3;
}

static int order(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void *nothing(void *argument)
{
    return argument;
}

/* From the first thread on libc's allocator takes locks, attached to or not: so there is one before anything is measured. */
int main(int argc, char **argv)
{
    struct attach attach = {0};
    pthread_t thread;
    MUST(argc >= 3);
    attach.shim = argv[1];
    attach.folder = argv[2];
    long pairs = argc > 3 ? atol(argv[3]) : 2000000;
    MUST(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    double never = pair_ns(pairs / 10);
    never = pair_ns(pairs);
    for (int round = 0; round < ROUNDS; round++) {
        figures[BEFORE][round] = pair_ns(pairs);
        figures[BEGIN][round] = call_ms(attach_begin, &attach);
        figures[WHILE][round] = pair_ns(pairs);
        figures[END][round] = call_ms(attach_end, &attach);
        figures[AFTER][round] = pair_ns(pairs);
    }
    printf("%-18s %8.2f\n", "never, ns a pair", never);
    for (int i = 0; i < FIGURES; i++) {
        qsort(figures[i], ROUNDS, sizeof(double), order);
        printf("%-18s %8.2f  (%.2f to %.2f)\n", names[i], figures[i][ROUNDS / 2], figures[i][0], figures[i][ROUNDS - 1]);
    }
    return 0;
}
