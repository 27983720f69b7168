/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pauses [PAIRS]: how long a call of malloc or free may take when it is the one that empties a lane. Blocks die 4096 blocks
 * later, so that every 500th call or so does. Prints the longest ones: the 50th, 99th and 100th percentile of the PAIRS /
 * 1000 slowest calls, in microseconds of the thread's processor time: what other programs take is no pause of ours.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RING 4096

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
    return (first > second) - (first < second);
}

int main(int argc, char **argv)
{
    static void *ring[RING];
    size_t pairs = argc > 1 ? (size_t)atol(argv[1]) : 1000000;
    uint32_t *took = calloc(pairs, sizeof(*took));
    if (!took || pairs < 1000)
        return 2;
    for (size_t i = 0; i < pairs; i++) {
        uint64_t begin = now();
        free(ring[i % RING]);
        ring[i % RING] = malloc(i % 61 * 8 + 1);
        took[i] = (uint32_t)(now() - begin);
    }
    qsort(took, pairs, sizeof(*took), compare);
    const uint32_t *slowest = took + pairs - pairs / 1000;
    size_t count = pairs / 1000;
    printf("%.1f %.1f %.1f\n", slowest[count / 2] / 1e3, slowest[count * 99 / 100] / 1e3, slowest[count - 1] / 1e3);
    return 0;
}
