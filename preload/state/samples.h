/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which blocks of memory are samples. As if points lay on the line of all bytes that a thread asks for, at random and `mean`
 * bytes apart in the mean (a Poisson process), a block is one if a point hits it. One of `size` bytes is hit with the
 * probability 1 - exp(-size / mean), whatever came before it, and so stands for the reciprocal, its weight. Points at
 * equal distances would not do: a program that asks for the same sizes again and again would have the same ones hit.
 *
 * A table holds the addresses of living samples. Whether an address may be among them is asked at each release, so a count
 * of those with the same low bits comes before it, which is written only when a sample is born or dies.
 *
 * Lock-free and private; each caller has a line and a table of its own. Thread and signal safe.
 */
#ifndef STRAY_PRELOAD_SAMPLES_H
#define STRAY_PRELOAD_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLES_WAYS   8u         /* addresses of one cache line */
#define SAMPLES_LEVELS 5u         /* tables, each four times the one before: where one has no room the next one is used, too */
#define SAMPLES_SETS   512u       /* of the first table */
#define SAMPLES_ROOM   (SAMPLES_SETS * ((1u << 2 * SAMPLES_LEVELS) - 1) / 3) /* sets of all of them */
#define SAMPLES_STRETCH (1 << 14) /* bytes after which a thread looks at the mean again */
#define SAMPLES_COUNTS (1u << 17) /* one for each 16 bytes of 2 MiB, and of the next 2 MiB, and so on */

/* Where a thread is on its line. Zeroed: not on it yet. */
struct samples_line {
    int64_t left; /* bytes to the next point; whoever has subtracted a size and finds less than 0 asks samples_hit() */
    bool begun, bare; /* bare: at the end of these bytes there is no point, and it is drawn again */
    uint8_t level; /* of who asks, where the mean changes: of the next point */
};

#define SAMPLES_PAGE 4096 /* what tables and counts are aligned to */

/* Living samples. Tables that are not needed yet take no memory. */
struct samples {
    uint64_t (*sets)[SAMPLES_WAYS]; /* SAMPLES_ROOM, all 0 at first; NULL: there are none */
    uint8_t *counts;                /* SAMPLES_COUNTS of them */
    uint32_t deepest;               /* of the tables that have been used */
};

/* What samples_remove() found. */
enum samples_found {
    SAMPLES_NONE,
    SAMPLES_PERHAPS, /* there was no room for some that have the same count: whoever reads the trace knows */
    SAMPLES_ONE,
};

/* A size has just been subtracted, and less than 0 is left: whether a point was hit, and where the next one is. */
bool samples_hit(struct samples_line *line, uint64_t size, double mean);
/* In a forked child, whose samples shall be independent of its parent's: the calling thread's line begins anew. */
void samples_line_forget(struct samples_line *line);

/* `block` is a living sample, and is no other's address yet. */
void samples_add(struct samples *samples, const void *block);
/* Whether it is one for certain. */
bool samples_has(struct samples *samples, const void *block);
/* It is about to be released or resized. */
enum samples_found samples_remove(struct samples *samples, const void *block);
/* All are gone: in a forked child, as what its parent recorded is not in the child's trace. */
void samples_forget(struct samples *samples);

static inline unsigned samples_place(const void *block)
{
    return (unsigned)((uintptr_t)block >> 4 & (SAMPLES_COUNTS - 1));
}

/* False: it certainly is no living sample. Whoever has the address from another thread has seen what that thread wrote. */
static inline bool samples_may_have(const uint8_t *counts, const void *block)
{
    return __builtin_expect(__atomic_load_n(&counts[samples_place(block)], __ATOMIC_RELAXED) != 0, 0);
}

#endif
