/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every allocator function, each at a site of its own: successes, failures, blocks of no bytes, chains of
 * realloc. Half of the plain blocks are freed.
 */
#include "expect.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <string.h>

#define TIMES 20

static void *volatile kept[64 * TIMES];
static size_t kept_count;

static void keep(void *block)
{
    kept[kept_count++] = block;
}

/* One site a function. */
static SITE void *by_malloc(size_t size) { void *volatile block = malloc(size); return block; }
static SITE void *by_calloc(size_t size) { void *volatile block = calloc(4, size / 4); return block; }
static SITE void *by_realloc(size_t size) { void *volatile block = realloc(NULL, size); return block; }
static SITE void *by_reallocarray(size_t size) { void *volatile block = reallocarray(NULL, 4, size / 4); return block; }
static SITE void *by_aligned_alloc(size_t size) { void *volatile block = aligned_alloc(64, size); return block; }
static SITE void *by_memalign(size_t size) { void *volatile block = memalign(128, size); return block; }
static SITE void *by_valloc(size_t size) { void *volatile block = valloc(size); return block; }
static SITE void *by_pvalloc(size_t size) { void *volatile block = pvalloc(size); return block; }
static SITE void *by_posix_memalign(size_t size)
{
    void *block = NULL;
    MUST(posix_memalign(&block, 256, size) == 0);
    return block;
}

static void exercise(const char *name, void *(*site)(size_t size))
{
    long bytes = 0;
    for (size_t i = 0; i < TIMES; i++) {
        size_t size = 64 * (i + 1);
        char *block = site(size);
        MUST(block != NULL);
        memset(block, 1, size);
        if (i % 2) {
            free(block);
        } else {
            keep(block);
            bytes += (long)size;
        }
    }
    expect(name, "heap", TIMES, TIMES / 2, bytes);
}

/* Through libc: the caller of strdup is to blame, not libc. */
static SITE void by_strdup(void)
{
    for (int i = 0; i < 5; i++)
        keep(strdup("nine char"));
    expect("by_strdup", "heap", 5, 0, 50);
}

static SITE void by_asprintf(void)
{
    char *text = NULL;
    MUST(asprintf(&text, "%d", 12345) == 5);
    keep(text);
}

/* Blocks of no bytes are blocks. */
static SITE void by_malloc_zero(void)
{
    for (int i = 0; i < 6; i++)
        keep(malloc(0));
    expect("by_malloc_zero", "heap", 6, 0, 0);
}

/* One block all along, wherever it moves. */
static SITE void chain(void)
{
    char *block = malloc(16);
    for (size_t size = 32; size <= 1 << 20; size *= 2) {
        block = realloc(block, size);
        MUST(block != NULL);
        block[size - 1] = 1;
        keep(malloc(24)); /* stands in the way of growing in place */
    }
    keep(block);
    expect("chain", "heap", 17, 0, (1 << 20) + 16 * 24);
}

/* The chain's beginning is its birth. */
static SITE char *chain_born(void)
{
    char *volatile block = malloc(100);
    return block;
}
static SITE char *chain_grown(char *block, size_t size)
{
    char *volatile grown = realloc(block, size);
    return grown;
}
static void chain_of_two_functions(void)
{
    for (int i = 0; i < 3; i++)
        keep(chain_grown(chain_born(), 5000));
    free(chain_grown(chain_born(), 7000));
    expect("chain_born", "heap", 4, 1, 15000);
    expect("chain_grown", "heap", 0, 0, 0);
}

static SITE void chain_shrunk(void)
{
    keep(realloc(malloc(9000), 10));
    expect("chain_shrunk", "heap", 1, 0, 10);
}

static SITE void realloc_to_zero(void)
{
    char *volatile block = malloc(40);
    volatile size_t nothing = 0;
    MUST(realloc(block, nothing) == NULL);
    expect("realloc_to_zero", "heap", 1, 1, 0);
}

/* Failures change nothing, and keep the old block. */
static SITE void failures(void)
{
    volatile size_t huge = SIZE_MAX / 2 + 1, many = SIZE_MAX / 8;
    void *block = NULL;
    MUST(malloc(huge) == NULL && errno == ENOMEM);
    MUST(calloc(many, 16) == NULL && errno == ENOMEM);
    MUST(reallocarray(NULL, many, 16) == NULL && errno == ENOMEM);
    MUST(aligned_alloc(64, huge) == NULL && errno == ENOMEM);
    MUST(posix_memalign(&block, 3, 10) == EINVAL);
    MUST(posix_memalign(&block, 64, huge) == ENOMEM);
    void *volatile old = malloc(70);
    MUST(realloc(old, huge) == NULL);
    MUST(reallocarray(old, many, 16) == NULL);
    free(NULL);
    keep(old);
    expect("failures", "heap", 1, 0, 70);
}

/* Pairs that live for an instant: only the counters see them. */
static SITE void young(void)
{
    for (int i = 0; i < 100000; i++) {
        void *volatile block = malloc(48);
        free(block);
    }
    expect("young", "heap", 100000, 100000, 0);
}

/* The same, outliving many later blocks. */
static SITE void *old_one(void) { void *volatile block = malloc(56); return block; }
static void old(void)
{
    static void *ring[4096];
    for (int i = 0; i < 50000; i++) {
        free(ring[i % 4096]);
        ring[i % 4096] = old_one();
    }
    expect("old_one", "heap", 50000, 50000 - 4096, 4096 * 56);
}

int main(void)
{
    exercise("by_malloc", by_malloc);
    exercise("by_calloc", by_calloc);
    exercise("by_realloc", by_realloc);
    exercise("by_reallocarray", by_reallocarray);
    exercise("by_posix_memalign", by_posix_memalign);
    exercise("by_aligned_alloc", by_aligned_alloc);
    exercise("by_memalign", by_memalign);
    exercise("by_valloc", by_valloc);
    exercise("by_pvalloc", by_pvalloc);
    by_strdup();
    by_asprintf();
    expect("by_asprintf", "heap", 2, 1, 6); /* libc formats into a block of its own first */
    by_malloc_zero();
    chain();
    chain_of_two_functions();
    chain_shrunk();
    realloc_to_zero();
    failures();
    young();
    old();
    return 0;
}
