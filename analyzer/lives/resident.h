/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resident memory, as the process told it map by map, sorted by what is known of the addresses: hooked mmap calls know theirs, and
 * what of unnamed memory nobody was seen to map is the allocator's. Where one map of the kernel holds both, each gets its
 * share of the pages.
 */
#ifndef STRAY_LIVES_RESIDENT_H
#define STRAY_LIVES_RESIDENT_H

#include <stdbool.h>
#include <stdint.h>

struct lives;
struct stray_event;

/* One moment. Bytes; what hooked calls mapped stands at their sites. */
struct resident {
    uint64_t allocator; /* brk, and unnamed memory that nobody was seen to map */
    uint64_t stacks, files, tracer, other;
    uint64_t total;                 /* of all maps */
    uint64_t live, held, peak_held; /* as in struct lives, of then */
    double live_variance;           /* of `live`, where that is an estimate */
    uint64_t small;                 /* live small objects of Python's */
    double small_variance;
    bool heap_mapped;               /* live blocks lie in what hooked calls mapped: an allocator of the program's own */
};

struct residents {
    unsigned moments; /* that were told to their end */
    struct resident first, last;
    struct resident before; /* the one before the last */
    struct resident now;    /* being told */
    bool telling;
    bool over; /* the moment when the end began was told: what is resident after it says nothing of the service */
};

/* Of a site of mappings, at the same moments. */
struct resident_site {
    uint64_t now, first, last;
};

/* STRAY_PART. */
void resident_part(struct lives *lives, const struct stray_event *event);

#define CHUNK_HEADER 8
#define CHUNK_STEP   16
#define CHUNK_MIN    32

/* What libc's allocator takes for a block of `size`. */
static inline uint64_t resident_held(uint64_t size)
{
    if (size > UINT64_MAX - CHUNK_HEADER - CHUNK_STEP)
        return size;
    uint64_t chunk = (size + CHUNK_HEADER + CHUNK_STEP - 1) / CHUNK_STEP * CHUNK_STEP;
    return chunk < CHUNK_MIN ? CHUNK_MIN : chunk;
}

#endif
