/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * resident WHAT [TENTHS]: makes resident memory grow in one known way, and prints by how much, in lines of JSON:
 *
 *   {"part": "stacks", "bytes": 8388608}
 *
 * retains   300 MiB of small blocks, of which every twentieth stays: the allocator keeps nearly all of the rest. Goes on for so many
 *           tenths of a second, 25
 * leaks     the same, and nothing is freed
 * maps      mappings of which every second page is written to
 * threads   stacks of which half a MiB is used
 * untouched blocks that are never written to: not resident
 * pool      all is freed again, from blocks that libc maps one by one
 */
#include "expect.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define SMALL   1000
#define SMALLS  (300 * 1024 * 1024 / SMALL)
#define KEPT    20
#define MAPS    16
#define MAPPED  (4 << 20)
#define PAGE    4096
#define THREADS 24
#define USED    (512 << 10)
#define LARGE   (48 << 20)

static void *blocks[SMALLS];
static char *maps[MAPS];
static pthread_barrier_t started, done;

static SITE void *makes_small(void) { void *volatile block = malloc(SMALL); return block; }
static SITE void *makes_large(void) { void *volatile block = malloc(LARGE); return block; }
static SITE void *makes_map(void)
{
    void *volatile map = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map;
}

static void state(const char *part, long bytes)
{
    printf("{\"part\": \"%s\", \"bytes\": %ld}\n", part, bytes);
}

static void fill(void)
{
    for (long i = 0; i < SMALLS; i++) {
        blocks[i] = makes_small();
        MUST(blocks[i] != NULL);
        memset(blocks[i], 1, SMALL);
    }
}

static int tenths = 25;

static void retains(void)
{
    fill();
    for (long i = 0; i < SMALLS; i++) {
        if (i % KEPT != 0)
            free(blocks[i]);
    }
    long kept = (SMALLS + KEPT - 1) / KEPT;
    /* Long enough for memory to be told once more before the end: it rides on hooked calls, and comes once a second at most. */
    for (int i = 0; i < tenths; i++) {
        MUST(usleep(100000) == 0);
        free(makes_small());
    }
    state("live_heap", kept * SMALL);
    state("allocator_retained", (SMALLS - kept) * SMALL);
}

static void leaks(void)
{
    fill();
    state("live_heap", (long)SMALLS * SMALL);
    state("allocator_retained", 0);
}

static void maps_some(void)
{
    for (int i = 0; i < MAPS; i++) {
        maps[i] = makes_map();
        MUST(maps[i] != MAP_FAILED);
        MUST(madvise(maps[i], MAPPED, MADV_NOHUGEPAGE) == 0);
        for (long at = 0; at < MAPPED; at += 2 * PAGE)
            maps[i][at] = 1;
    }
    state("mmap", (long)MAPS * MAPPED / 2);
}

static void *uses_its_stack(void *unused)
{
    char room[USED];
    for (long at = 0; at < USED; at += PAGE)
        ((volatile char *)room)[at] = 1;
    pthread_barrier_wait(&started);
    pthread_barrier_wait(&done);
    return unused;
}

/* Beside them lies a large block: where the kernel joins the two, they must be told apart. */
static void threads(void)
{
    static pthread_t all[THREADS];
    char *large = makes_large();
    MUST(large && pthread_barrier_init(&started, NULL, THREADS + 1) == 0 && pthread_barrier_init(&done, NULL, THREADS + 1) == 0);
    memset(large, 1, LARGE);
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&all[i], NULL, uses_its_stack, NULL) == 0);
    pthread_barrier_wait(&started);
    state("stacks", (long)THREADS * USED);
    state("live_heap", LARGE);
}

static void untouched(void)
{
    blocks[0] = makes_large();
    MUST(blocks[0] != NULL);
    state("live_heap", 0);
}

static void pool(void)
{
    for (int i = 0; i < 4; i++) {
        char *block = makes_large();
        MUST(block != NULL);
        memset(block, 1, LARGE);
        free(block);
    }
    state("live_heap", 0);
    state("allocator_retained", 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } ways[] = {{"retains", retains}, {"leaks", leaks},         {"maps", maps_some},
                {"threads", threads}, {"untouched", untouched}, {"pool", pool}};
    if (argc > 2)
        tenths = atoi(argv[2]);
    for (size_t i = 0; argc >= 2 && i < sizeof(ways) / sizeof(*ways); i++) {
        if (strcmp(argv[1], ways[i].name) == 0) {
            ways[i].run();
            return 0;
        }
    }
    return 2;
}
