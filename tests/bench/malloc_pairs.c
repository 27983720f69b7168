/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * malloc_pairs DEPTH THREADS PAIRS [KIND]: every thread makes PAIRS pairs of malloc and free below DEPTH frames of its
 * own, and prints the nanoseconds of processor time a pair took, one line a thread. KIND says when a block is freed:
 *
 *     young   at once (the default)
 *     ring    1000 blocks later
 *     keep    4096 blocks later, so that no life is told in sum only
 *     random  after a random number of blocks, 500 on average
 *     cross   by the next thread, 64 blocks later (by the same one where there is but one)
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS 64
#define RING    4096
#define CROSS   64

static long depth, threads, pairs;
static void (*churn)(long self);
static _Atomic(void *) handed[THREADS][CROSS];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* A few sizes and a few callers, as in a program; never the same place twice in a row. */
static __attribute__((noinline)) void *one(size_t size) { void *volatile block = malloc(size); return block; }
static __attribute__((noinline)) void *two(size_t size) { void *volatile block = malloc(size + 16); return block; }

static void *make(long i)
{
    return i % 2 ? one((size_t)(i % 61) * 8 + 1) : two((size_t)(i % 61) * 8 + 1);
}

static void young(long self)
{
    for (long i = 0; i < pairs; i++)
        free(make(i));
}

static void in_turn(long size)
{
    void *ring[RING] = {NULL};
    for (long i = 0; i < pairs; i++) {
        void *block = make(i);
        free(ring[i % size]);
        ring[i % size] = block;
    }
    for (long i = 0; i < size; i++)
        free(ring[i]);
}

static void ring(long self) { in_turn(1000); }
static void keep(long self) { in_turn(RING); }

static void at_random(long self)
{
    void *blocks[512] = {NULL};
    uint64_t state = (uint64_t)self + 1;
    for (long i = 0; i < pairs; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        void **place = &blocks[state >> 55];
        free(*place);
        *place = make(i);
    }
    for (int i = 0; i < 512; i++)
        free(blocks[i]);
}

static void cross(long self)
{
    _Atomic(void *) *give = handed[self], *take = handed[(self + 1) % threads];
    for (long i = 0; i < pairs; i++) {
        free(atomic_exchange(&give[i % CROSS], make(i)));
        free(atomic_exchange(&take[(i + CROSS / 2) % CROSS], NULL));
    }
}

static __attribute__((noinline)) double churn_here(long self)
{
    double start = now();
    churn(self);
    return (now() - start) / (double)(pairs > 0 ? pairs : 1);
}

static __attribute__((noinline)) double descend(long left, long self)
{
    volatile double result = left > 0 ? descend(left - 1, self) : churn_here(self);
    return result;
}

static struct job {
    pthread_t id;
    long number;
    double result;
} jobs[THREADS];

static void *work(void *data)
{
    struct job *job = data;
    job->result = descend(depth - 5, job->number); /* start of the thread, this, churn_here, the kind's, one */
    return NULL;
}

static const struct {
    const char *name;
    void (*churn)(long self);
} kinds[] = {{"young", young}, {"ring", ring}, {"keep", keep}, {"random", at_random}, {"cross", cross}};

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    depth = atol(argv[1]);
    threads = atol(argv[2]);
    pairs = atol(argv[3]);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(argc > 4 ? argv[4] : "young", kinds[i].name))
            churn = kinds[i].churn;
    if (threads < 1 || threads > THREADS || pairs < 0 || !churn)
        return 2;
    for (long i = 0; i < threads; i++) {
        jobs[i].number = i;
        if (pthread_create(&jobs[i].id, NULL, work, &jobs[i]) != 0)
            return 1;
    }
    for (long i = 0; i < threads; i++) {
        pthread_join(jobs[i].id, NULL);
        printf("%.2f\n", jobs[i].result);
    }
    return 0;
}
