/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * To be attached to at any moment, by the number of threads (first argument) and by what they do (second):
 * heap    malloc, realloc and free, and nothing else; what is in the blocks is checked
 * libc    code of libc only, with locks of the heap held most of the time: there is no safe point in any thread
 * On SIGTERM it says "sound" if every thread went on to the end, and each block held what was put into it.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 64
#define BLOCKS      64u

static volatile sig_atomic_t stopping;
static pthread_barrier_t all_there;
static bool only_libc;

static void stop(int number)
{
    stopping = number;
}

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

struct block {
    unsigned char *at;
    size_t size;
    unsigned char mark;
};

static bool is_sound(const struct block *block)
{
    return !block->at || (block->at[0] == block->mark && block->at[block->size - 1] == block->mark);
}

static void renew(struct block *block, unsigned *seed)
{
    block->size = next(seed) % 3000 + 1;
    if (next(seed) % 4 == 0) {
        block->at = realloc(block->at, block->size);
    } else {
        free(block->at);
        block->at = malloc(block->size);
    }
    if (!block->at)
        abort();
    block->mark = (unsigned char)next(seed);
    block->at[0] = block->at[block->size - 1] = block->mark;
}

/* Returns what it did, NULL if it found a block damaged. */
static void *work_in_heap(unsigned seed)
{
    struct block blocks[BLOCKS] = {{0}};
    uintptr_t done = 1; /* it may be told to stop before it has begun */
    bool sound = true;
    while (!stopping && sound) {
        struct block *block = &blocks[next(&seed) % BLOCKS];
        sound = is_sound(block);
        renew(block, &seed);
        done++;
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i].at);
    return sound ? (void *)done : NULL; // NOLINT
}

/* malloc_info() walks the heap with the lock of each arena held. */
static void *work_in_libc(void)
{
    static char text[1 << 20];
    uintptr_t done = 1;
    while (!stopping) {
        malloc_trim(0);
        done += memchr(text, 1, sizeof(text)) == NULL;
    }
    return (void *)done; // NOLINT
}

static void *work_here(unsigned index)
{
    return only_libc ? work_in_libc() : work_in_heap(1 + index);
}

static void *work(void *data)
{
    pthread_barrier_wait(&all_there);
    return work_here((unsigned)(uintptr_t)data);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    bool sound = true;
    void *done;
    only_libc = argc > 2 && strcmp(argv[2], "libc") == 0;
    signal(SIGTERM, stop);
    pthread_barrier_init(&all_there, NULL, count);
    for (unsigned i = 1; i < count; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) != 0) // NOLINT
            return 1;
    pthread_barrier_wait(&all_there);
    puts("ready");
    fflush(stdout);
    sound = work_here(0) != NULL;
    for (unsigned i = 1; i < count; i++)
        sound &= pthread_join(threads[i], &done) == 0 && done != NULL;
    puts(sound ? "sound" : "damaged");
    return !sound;
}
