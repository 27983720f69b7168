/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sampled PART: blocks of which samples tell, at sites with one size each.
 *   sizes    kept and freed, resized, of no size; from 0 bytes to 3 MB
 *   threads  each thread frees what another one has made
 *   fork     a child makes as many as its parent, and frees what it inherited
 *   leak     a service that forgets a tenth of its replies, 1 to 64 KiB each, and a buffer that grows for ever
 *   healthy  the same service, which forgets nothing
 */
#include "expect.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define TINY    200000
#define SMALL   20000
#define PAGES   2000
#define BIG     8
#define EMPTY   100000
#define RESIZED 4000
#define THREADS 4
#define PASSED  20000
#define CHILD   20000
#define ROUNDS  1500
#define REPLIES 10
#define CACHE   128
#define TABLE   1000

static void *blocks[TINY];

static SITE void *tiny(void) { void *volatile block = malloc(16); return block; }
static SITE void *small(void) { void *volatile block = calloc(3, 100); return block; }
static SITE void *page(void) { void *volatile block = aligned_alloc(4096, 4096); return block; }
static SITE void *big(void) { void *volatile block = malloc(3000000); return block; }
static SITE void *empty(void) { void *volatile block = malloc(0); return block; }
static SITE void *begun(void) { void *volatile block = malloc(64); return block; }
static SITE void *grown(void *block) { void *volatile moved = realloc(block, 2000); return moved; }
static SITE void *shrunk(void *block) { void *volatile moved = realloc(block, 700); return moved; }

/* Every second one of `count` is freed. */
static void keep_half(const char *name, void *(*make)(void), int count, long size)
{
    for (int i = 0; i < count; i++)
        MUST((blocks[i] = make()) != NULL);
    for (int i = 0; i < count; i += 2)
        free(blocks[i]);
    expect(name, "heap", count, count / 2, count / 2 * size);
}

/* Each is resized twice, and some fail to grow beyond all bounds: they stay as they are. */
static void *resized(void)
{
    void *block = begun();
    MUST(block && (block = grown(block)) != NULL);
    void *volatile failed = realloc(block, (size_t)1 << 62);
    MUST(failed == NULL && (block = shrunk(block)) != NULL);
    return block;
}

static void sizes(void)
{
    keep_half("tiny", tiny, TINY, 16);
    keep_half("small", small, SMALL, 300);
    keep_half("page", page, PAGES, 4096);
    keep_half("big", big, BIG, 3000000);
    keep_half("empty", empty, EMPTY, 0);
    keep_half("begun", resized, RESIZED, 700);
}

static _Atomic(void *) passed[THREADS][PASSED];

static SITE void *pass(void) { void *volatile block = malloc(1000); return block; }
static SITE void *keep(void) { void *volatile block = malloc(1000); return block; }

static void *exchange(void *argument)
{
    long me = (long)argument, before = (me + THREADS - 1) % THREADS;
    for (int i = 0; i < PASSED; i++) {
        atomic_store(&passed[me][i], pass());
        if (i % 4 == 0)
            MUST(keep() != NULL);
    }
    for (int i = 0; i < PASSED; i++) {
        void *block;
        while (!(block = atomic_exchange(&passed[before][i], NULL)))
            ;
        free(block);
    }
    return NULL;
}

static void threads(void)
{
    pthread_t ids[THREADS];
    for (long i = 0; i < THREADS; i++)
        MUST(pthread_create(&ids[i], NULL, exchange, (void *)i) == 0);
    for (long i = 0; i < THREADS; i++)
        MUST(pthread_join(ids[i], NULL) == 0);
    expect("pass", "heap", THREADS * PASSED, THREADS * PASSED, 0);
    expect("keep", "heap", THREADS * PASSED / 4, 0, THREADS * PASSED / 4 * 1000);
}

static SITE void *of_parent(void) { void *volatile block = malloc(500); return block; }
static SITE void *of_child(void) { void *volatile block = malloc(500); return block; }

static void forks(void)
{
    for (int i = 0; i < CHILD; i++)
        MUST((blocks[i] = of_parent()) != NULL);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        for (int i = 0; i < CHILD; i += 2)
            free(blocks[i]);
        for (int i = 0; i < CHILD; i++)
            MUST(of_child() != NULL);
        expect("of_child", "heap", CHILD, 0, CHILD * 500L);
        exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child && status == 0);
    expect("of_parent", "heap", CHILD, 0, CHILD * 500L);
}

/* ---- a service ---- */

static uint32_t dice = 1;

static size_t reply_size(void)
{
    dice = dice * 1664525 + 1013904223;
    return 1024 + (dice >> 8) % (63 * 1024);
}

static SITE void *forgets(void) { void *volatile block = malloc(reply_size()); return block; }
static SITE void *replies(void) { void *volatile block = malloc(reply_size()); return block; }
static SITE void *caches(void) { void *volatile block = malloc(reply_size()); return block; }
static SITE void *loads(void) { void *volatile block = malloc(reply_size()); return block; }
static SITE void *appends(void *block, size_t size) { void *volatile moved = realloc(block, size); return moved; }

static void serve(int round, long *forgotten)
{
    static void *cache[CACHE];
    for (int i = 0; i < REPLIES; i++)
        free(replies());
    void *reply = forgets();
    MUST(reply);
    if (forgotten)
        ++*forgotten;
    else
        free(reply);
    free(cache[round % CACHE]);
    MUST((cache[round % CACHE] = caches()) != NULL);
}

static void service(bool leaks)
{
    static void *volatile log;
    long forgotten = 0;
    for (int i = 0; i < TABLE; i++)
        MUST(loads() != NULL);
    for (int round = 0; round < ROUNDS; round++) {
        serve(round, leaks ? &forgotten : NULL);
        if (leaks && round % 10 == 0)
            MUST((log = appends(log, (size_t)(round + 150) * 18500)) != NULL); /* each is as good as sure to be a sample */
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    expect("forgets", "heap", ROUNDS, ROUNDS - forgotten, -1);
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";
    if (strcmp(part, "sizes") == 0)
        sizes();
    else if (strcmp(part, "threads") == 0)
        threads();
    else if (strcmp(part, "fork") == 0)
        forks();
    else if (strcmp(part, "leak") == 0 || strcmp(part, "healthy") == 0)
        service(strcmp(part, "leak") == 0);
    else
        MUST(!"a part");
    return 0;
}
