/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The heap under --sample: only blocks that are samples leave events, and these are never told in sum, as their weights differ
 * with their sizes. All other calls cost a subtraction, or a look at a count. Asked by hooks where the gate is not open to
 * GATE_HEAP. Thread and signal safe; errno is left alone.
 */
#ifndef STRAY_PRELOAD_SAMPLED_HEAP_H
#define STRAY_PRELOAD_SAMPLED_HEAP_H

#include "state/heap_samples.h"

/* Out of the way of the others. `frame`: of the hook. */
void sampled_heap_record(uint16_t hook, void *block, size_t size, const void *frame);
void sampled_heap_record_freed(uint16_t hook, const void *block);

/* realloc(), and what the sample makes of it. */
void *sampled_heap_resize(uint16_t hook, void *old, size_t size, const void *frame);

/* The end of `block` is to be told, though it may be no sample. */
void sampled_heap_watch(const void *block);

static inline __attribute__((always_inline)) void sampled_heap_made(uint16_t hook, void *block, size_t size, const void *frame)
{
    if (heap_samples_open() && heap_samples_hit(size))
        sampled_heap_record(hook, block, size, frame);
}

static inline __attribute__((always_inline)) void sampled_heap_freed(uint16_t hook, const void *block)
{
    if (heap_samples_open() && samples_may_have(heap_samples_counts, block))
        sampled_heap_record_freed(hook, block);
}

#endif
