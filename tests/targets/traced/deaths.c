/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deaths HOW THREADS: each thread opens blocks and sockets; when all are done, the program says how many, and dies:
 *     kill, segv, abort   by that signal
 *     stack               by a recursion without end, which allocates on its way
 *     memory              RLIMIT_AS: it allocates until there is nothing left, then aborts
 *     memory-exit         the same, but gives up politely
 */
#include "expect.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define BLOCKS  3000
#define SOCKETS 20
#define LARGE   (64 << 10)

static SITE void *block(void) { void *volatile made = malloc(32); return made; }
static SITE int by_socket(void) { volatile int fd = socket(AF_UNIX, SOCK_STREAM, 0); return fd; }
static SITE void young(void) { void *volatile made = malloc(24); free(made); }
static SITE void *large(void) { void *volatile made = malloc(LARGE); return made; }

static void *work(void *argument)
{
    for (int i = 0; i < BLOCKS; i++) {
        MUST(block());
        young();
        if (i < SOCKETS)
            MUST(by_socket() >= 0);
    }
    return argument;
}

static void *use_and_wait(void *argument)
{
    work(argument);
    pthread_barrier_wait(argument);
    for (;;)
        pause();
    return argument;
}

static SITE int dive(int depth)
{
    volatile char room[512];
    memset((char *)(uintptr_t)room, depth, sizeof(room));
    if (depth % 64 == 0)
        young();
    return depth < 0 ? room[0] : dive(depth + 1) + room[1];
}

/* Returns how many blocks there were until no more could be had. */
static long exhaust(void)
{
    struct rlimit limit = {0, 0};
    long count = 0;
    MUST(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = 1u << 30; /* so that threads and tracer have theirs, and some is left */
    MUST(setrlimit(RLIMIT_AS, &limit) == 0);
    while (large())
        count++;
    return count;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "kill";
    long threads = argc > 2 ? atol(argv[2]) : 1;
    pthread_barrier_t ready;
    struct rlimit no_core = {0, 0};
    MUST(setrlimit(RLIMIT_CORE, &no_core) == 0 && pthread_barrier_init(&ready, NULL, (unsigned)threads) == 0);
    for (long i = 1; i < threads; i++) {
        pthread_t id;
        MUST(pthread_create(&id, NULL, use_and_wait, &ready) == 0);
    }
    work(NULL);
    pthread_barrier_wait(&ready);
    expect("block", "heap", BLOCKS * threads, 0, 32 * BLOCKS * threads);
    expect("by_socket", "socket", SOCKETS * threads, 0, -1);
    if (strncmp(how, "memory", 6) == 0) {
        long count = exhaust();
        expect("large", "heap", count, 0, LARGE * count);
        if (strcmp(how, "memory-exit") == 0)
            return 0;
        abort();
    }
    expect("young", "heap", BLOCKS * threads, BLOCKS * threads, 0);
    if (strcmp(how, "stack") == 0)
        return dive(1);
    if (strcmp(how, "segv") == 0)
        *(volatile int *)8 = 1;
    if (strcmp(how, "abort") == 0)
        abort();
    raise(SIGKILL);
    return 0;
}
