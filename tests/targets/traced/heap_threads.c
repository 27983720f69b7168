/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * heap_threads THREADS: blocks kept, blocks that another thread frees, blocks that die young, all threads at
 * once; then waves of short-lived threads.
 */
#include "expect.h"

#include <pthread.h>
#include <stdatomic.h>

#define PER_THREAD 2000
#define WAVES      50
#define MAX        64

static long threads;
static void *kept[MAX][PER_THREAD];
static _Atomic(void *) passed[MAX][PER_THREAD]; /* by thread i, freed by thread i + 1 */
static void *waves[WAVES][MAX];

static SITE void *keep_one(void) { void *volatile block = malloc(40); return block; }
static SITE void *pass_one(void) { void *volatile block = malloc(72); return block; }
static SITE void *wave_one(void) { void *volatile block = malloc(88); return block; }
static SITE void young_one(void)
{
    void *volatile block = malloc(16);
    free(block);
}

static void *work(void *argument)
{
    long me = (long)argument, before = (me + threads - 1) % threads;
    for (int i = 0; i < PER_THREAD; i++) {
        kept[me][i] = keep_one();
        atomic_store(&passed[me][i], pass_one());
        for (int n = 0; n < 10; n++)
            young_one();
    }
    for (int i = 0; i < PER_THREAD; i++) {
        void *block;
        while (!(block = atomic_exchange(&passed[before][i], NULL)))
            ;
        free(block);
    }
    return NULL;
}

static void *wave(void *argument)
{
    void **place = argument;
    *place = wave_one();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t ids[MAX];
    threads = argc > 1 ? atol(argv[1]) : 1;
    MUST(threads >= 1 && threads <= MAX);
    for (long i = 0; i < threads; i++)
        MUST(pthread_create(&ids[i], NULL, work, (void *)i) == 0);
    for (long i = 0; i < threads; i++)
        MUST(pthread_join(ids[i], NULL) == 0);
    for (int n = 0; n < WAVES; n++) {
        for (long i = 0; i < threads; i++)
            MUST(pthread_create(&ids[i], NULL, wave, &waves[n][i]) == 0);
        for (long i = 0; i < threads; i++)
            MUST(pthread_join(ids[i], NULL) == 0);
    }
    expect("keep_one", "heap", threads * PER_THREAD, 0, threads * PER_THREAD * 40);
    expect("pass_one", "heap", threads * PER_THREAD, threads * PER_THREAD, 0);
    expect("young_one", "heap", threads * PER_THREAD * 10, threads * PER_THREAD * 10, 0);
    expect("wave_one", "heap", threads * WAVES, 0, threads * WAVES * 88);
    return 0;
}
