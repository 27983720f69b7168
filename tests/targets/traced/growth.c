/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * growth [ROUNDS]: what leaks, creeps, and only stays, each at a site of its own, round after round. No requests:
 * work is allocations. The names say what each is.
 */
#include "expect.h"

#include <string.h>

#define ROUNDS     40000
#define CACHE      500
#define TABLE_ROWS 4000
#define BATCH      2000

static void *volatile lost;

static SITE void *leaks_one_in_ten(size_t size) { void *volatile block = malloc(size); return block; }
static SITE void *leaks_all(size_t size) { void *volatile block = malloc(size); return block; }
static SITE void *fills_a_cache(size_t size) { void *volatile block = malloc(size); return block; }
static SITE void *fills_a_batch(size_t size) { void *volatile block = malloc(size); return block; }
static SITE void *loads_a_table(size_t size) { void *volatile block = malloc(size); return block; }
static SITE void *loads_in_between(size_t size) { void *volatile block = malloc(size); return block; }
static SITE void *comes_and_goes(size_t size) { void *volatile block = malloc(size); return block; }
static SITE void *grows_a_vector(void *block, size_t size) { block = realloc(block, size); return block; }

struct vector {
    char *items;
    size_t used, room;
};

static long cache_opened, batch_opened;

static void cache(int round)
{
    static void *entries[CACHE];
    void **entry = &entries[round % CACHE];
    free(*entry);
    *entry = fills_a_cache(3000);
    cache_opened++;
}

static void batch(void)
{
    static void *blocks[BATCH];
    static int used;
    if (used == BATCH)
        while (used > 0)
            free(blocks[--used]);
    blocks[used++] = fills_a_batch(1000);
    batch_opened++;
}

static void push(struct vector *vector, size_t size)
{
    if (vector->used + size > vector->room) {
        vector->room += vector->room / 4 + size;
        vector->items = grows_a_vector(vector->items, vector->room);
        MUST(vector->items != NULL);
    }
    memset(vector->items + vector->used, 1, size);
    vector->used += size;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS;
    struct vector vector = {0};
    for (int i = 0; i < TABLE_ROWS; i++)
        lost = loads_a_table(1000);
    for (int i = 0; i < rounds; i++) {
        lost = leaks_one_in_ten(2000);
        if (i % 10)
            free(lost);
        if (i % 20 == 0)
            lost = leaks_all(1500);
        cache(i);
        batch();
        push(&vector, 100);
        for (int k = 0; k < 3; k++)
            free(comes_and_goes(100));
        if (i == rounds / 2)
            for (int k = 0; k < TABLE_ROWS; k++)
                lost = loads_in_between(1000);
    }
    expect("leaks_one_in_ten", "heap", rounds, rounds - rounds / 10, 2000L * (rounds / 10));
    expect("leaks_all", "heap", rounds / 20, 0, 1500L * (rounds / 20));
    expect("fills_a_cache", "heap", cache_opened, cache_opened - CACHE, 3000L * CACHE);
    expect("loads_a_table", "heap", TABLE_ROWS, 0, 1000L * TABLE_ROWS);
    expect("loads_in_between", "heap", TABLE_ROWS, 0, 1000L * TABLE_ROWS);
    expect("comes_and_goes", "heap", 3L * rounds, 3L * rounds, 0);
    expect("grows_a_vector", "heap", 1, 0, (long)vector.room);
    return 0;
}
