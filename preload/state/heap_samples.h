/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which blocks of the heap are recorded under --sample. All is private memory: a forked child begins with an empty table.
 * Thread and signal safe, but for heap_samples_init().
 */
#ifndef STRAY_PRELOAD_HEAP_SAMPLES_H
#define STRAY_PRELOAD_HEAP_SAMPLES_H

#include "gate.h"
#include "state/samples.h"

extern __thread struct samples_line heap_samples_line ARCH_NEAR;
extern uint8_t heap_samples_counts[SAMPLES_COUNTS] ARCH_NEAR;
extern struct samples heap_samples; /* with these counts */
extern double heap_samples_mean;

/* Makes the table, when the program begins, if the heap is to be sampled. Without memory it stays without. */
void heap_samples_init(void);
/* Says in the trace, each process's own, how far samples are apart. */
void heap_samples_define(void);
/* In a forked child. */
void heap_samples_forget(void);

/* Whether the heap is sampled, and this thread may record now. To be asked after gate_open(). */
static inline bool heap_samples_open(void)
{
    return (__atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_SAMPLED) &&
           __builtin_expect(!(thread_self.flags & THREAD_INSIDE), 1);
}

/* Whether a point lies in the next `size` bytes. A block of none counts as one byte, or it would never be seen. */
static inline bool heap_samples_hit(size_t size)
{
    int64_t bytes = size ? (int64_t)size : 1;
    return __builtin_expect((heap_samples_line.left -= bytes) < 0, 0) &&
           samples_hit(&heap_samples_line, (uint64_t)bytes, heap_samples_mean);
}

#endif
