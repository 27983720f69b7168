/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that allocate, resize and free each other's blocks at random, so that addresses pass from thread to thread
 * while earlier owners' acquires of the same address are still at hand. Before that, one such passage a size, step by step:
 * one thread's block is freed by another, which gets the same address again, and the first thread frees that.
 *
 *     exchange [THREADS [STEPS [SEED]]]
 */
#include "expect.h"

#include <pthread.h>
#include <stdint.h>

#define SITES  6
#define SHELF  256
#define THREADS_MAX 64

struct block {
    void *memory; /* NULL: an empty place */
    size_t size;
    unsigned site;
};

static struct place {
    pthread_mutex_t lock;
    struct block block;
} shelf[SHELF];

static struct tally {
    long opened, closed, bytes;
} tallies[SITES];

static unsigned steps = 20000, seed = 1;

/* One size for all, so that the allocator hands out the same addresses again and again. */
static size_t size_of(unsigned site)
{
    return site < 4 ? 48 : 200;
}

#define ALLOCATOR(n, call)                                                                                    \
    SITE static void *site_##n(size_t size)                                                                   \
    {                                                                                                         \
        void *volatile memory = (call);                                                                       \
        return memory;                                                                                        \
    }
ALLOCATOR(0, malloc(size))
ALLOCATOR(1, calloc(1, size))
ALLOCATOR(2, malloc(size))
ALLOCATOR(3, realloc(NULL, size))
ALLOCATOR(4, malloc(size))
ALLOCATOR(5, aligned_alloc(64, size))

#define PASSED         60
#define PASSED_SIZE(n) (24 + 16 * (size_t)(n))
static unsigned passed;

SITE static void *passed_on(size_t size)
{
    void *volatile block = malloc(size);
    return block;
}

SITE static void *taken_again(size_t size)
{
    void *volatile block = malloc(size);
    return block;
}

static void *(*const allocators[SITES])(size_t) = {site_0, site_1, site_2, site_3, site_4, site_5};

static void add(long *number, long value)
{
    __atomic_fetch_add(number, value, __ATOMIC_RELAXED);
}

static struct block make(unsigned site)
{
    struct block block = {allocators[site](size_of(site)), size_of(site), site};
    MUST(block.memory);
    add(&tallies[site].opened, 1);
    add(&tallies[site].bytes, (long)block.size);
    return block;
}

static void drop(struct block block)
{
    if (!block.memory)
        return;
    add(&tallies[block.site].closed, 1);
    add(&tallies[block.site].bytes, -(long)block.size);
    free(block.memory);
}

static struct block resize(struct block block, size_t size)
{
    if (!block.memory)
        return block;
    add(&tallies[block.site].bytes, (long)size - (long)block.size);
    block.memory = realloc(block.memory, size);
    MUST(block.memory);
    block.size = size;
    return block;
}

static uint32_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Takes what is on the place, puts `block` there. */
static struct block exchange(uint32_t number, struct block block)
{
    struct place *place = &shelf[number % SHELF];
    pthread_mutex_lock(&place->lock);
    struct block there = place->block;
    place->block = block;
    pthread_mutex_unlock(&place->lock);
    return there;
}

static void step(uint64_t *state)
{
    struct block empty = {NULL, 0, 0};
    uint32_t what = next(state) % 8;
    if (what < 3)
        drop(exchange(next(state), make(next(state) % SITES)));
    else if (what < 5)
        drop(exchange(next(state), empty));
    else if (what < 6)
        drop(make(next(state) % SITES));
    else
        drop(exchange(next(state), resize(exchange(next(state), empty), 1 + next(state) % 300)));
}

static void *work(void *argument)
{
    uint64_t state = (uint64_t)seed << 32 | (uint64_t)(uintptr_t)argument;
    for (unsigned i = 0; i < steps; i++)
        step(&state);
    return NULL;
}

static void *free_and_take_again(void *block)
{
    free(block);
    return taken_again(PASSED_SIZE(passed));
}

static void pass_blocks(void)
{
    for (passed = 0; passed < PASSED; passed++) {
        pthread_t thread;
        void *block = passed_on(PASSED_SIZE(passed));
        MUST(block && pthread_create(&thread, NULL, free_and_take_again, block) == 0);
        MUST(pthread_join(thread, &block) == 0 && block);
        free(block);
    }
    expect("passed_on", "heap", PASSED, PASSED, 0);
    expect("taken_again", "heap", PASSED, PASSED, 0);
}

static void state_truth(void)
{
    static const char *const names[SITES] = {"site_0", "site_1", "site_2", "site_3", "site_4", "site_5"};
    for (unsigned i = 0; i < SITES; i++)
        expect(names[i], "heap", tallies[i].opened, tallies[i].closed, tallies[i].bytes);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 4;
    steps = argc > 2 ? (unsigned)atoi(argv[2]) : steps;
    seed = argc > 3 ? (unsigned)atoi(argv[3]) : seed;
    pthread_t threads[THREADS_MAX];
    MUST(count <= THREADS_MAX);
    pass_blocks();
    for (unsigned i = 0; i < SHELF; i++)
        MUST(pthread_mutex_init(&shelf[i].lock, NULL) == 0);
    for (unsigned i = 1; i < count; i++)
        MUST(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1)) == 0);
    work((void *)1);
    for (unsigned i = 1; i < count; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    state_truth();
    return 0;
}
