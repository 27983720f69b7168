/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * malloc_pairs DEPTH THREADS PAIRS [keep]: every thread makes PAIRS pairs of malloc and free below DEPTH frames of
 * its own, and prints the nanoseconds of processor time a pair took, one line a thread. With `keep`, blocks die
 * only 2048 blocks later, so that no pair is young.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RING 2048

static long depth, pairs;
static int keep;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* A few sizes and a few callers, as in a program; never the same place twice in a row. */
static __attribute__((noinline)) void *one(size_t size) { void *volatile block = malloc(size); return block; }
static __attribute__((noinline)) void *two(size_t size) { void *volatile block = malloc(size + 16); return block; }

static __attribute__((noinline)) double pairs_here(void)
{
    void *ring[RING] = {NULL};
    double start = now();
    for (long i = 0; i < pairs; i++) {
        void *block = i % 2 ? one((size_t)(i % 61) * 8 + 1) : two((size_t)(i % 61) * 8 + 1);
        if (keep) {
            free(ring[i % RING]);
            ring[i % RING] = block;
        } else {
            free(block);
        }
    }
    double spent = now() - start;
    for (int i = 0; i < RING; i++)
        free(ring[i]);
    return spent / (double)pairs;
}

static __attribute__((noinline)) double descend(long left)
{
    volatile double result = left > 0 ? descend(left - 1) : pairs_here();
    return result;
}

static void *work(void *result)
{
    *(double *)result = descend(depth - 4); /* start of the thread, this, pairs_here, one */
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t ids[64];
    double results[64];
    if (argc < 4)
        return 2;
    depth = atol(argv[1]);
    long threads = atol(argv[2]);
    pairs = atol(argv[3]);
    keep = argc > 4 && !strcmp(argv[4], "keep");
    if (threads < 1 || threads > 64 || pairs < 1)
        return 2;
    for (long i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, &results[i]) != 0)
            return 1;
    for (long i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        printf("%.2f\n", results[i]);
    }
    return 0;
}
