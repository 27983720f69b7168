/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which of Python's small objects are recorded. In the default mode these are samples: 16 KiB apart, or as far as those of the
 * heap, if that is farther. A process that asks for so much that this would be thousands of samples a second has them twice as far
 * apart, and so on: each of them takes a stack, and says itself what it stands for.
 *
 * A bit for each page tells where the small-object allocator has handed out anything: what it is asked to release or resize
 * may be a big block, which is not its own but malloc's.
 *
 * All is static, lock-free and private. Thread and signal safe.
 */
#ifndef STRAY_PRELOAD_PYTHON_SAMPLES_H
#define STRAY_PRELOAD_PYTHON_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch.h"
#include "state/samples.h"

#define PYTHON_SAMPLES_PAGES (1u << 20)

/* Whether the interpreter's allocators are to be looked at: not hooked yet, or not looked at since the last sample. */
extern uint32_t python_samples_due;
/* Asks for a look, unless Python's memory is left out. */
static inline void python_samples_look(void);

extern __thread uint32_t python_samples_resizes ARCH_NEAR; /* calls of realloc */

extern uint8_t python_samples_counts[SAMPLES_COUNTS] ARCH_NEAR;
extern struct samples python_samples; /* with these counts */
extern uint64_t python_samples_pages[PYTHON_SAMPLES_PAGES / 64];

/* ---- pages ---- */

static inline void python_samples_mark(const void *block)
{
    uint64_t page = (uintptr_t)block >> 12 & (PYTHON_SAMPLES_PAGES - 1), bit = (uint64_t)1 << (page & 63);
    if (__builtin_expect(!(__atomic_load_n(&python_samples_pages[page / 64], __ATOMIC_RELAXED) & bit), 0))
        __atomic_fetch_or(&python_samples_pages[page / 64], bit, __ATOMIC_RELAXED);
}

static inline bool python_samples_marked(const void *block)
{
    uint64_t page = (uintptr_t)block >> 12 & (PYTHON_SAMPLES_PAGES - 1);
    return __atomic_load_n(&python_samples_pages[page / 64], __ATOMIC_RELAXED) >> (page & 63) & 1;
}

/* ---- samples ---- */

extern __thread struct samples_line python_samples_line ARCH_NEAR; /* of samples: where all are recorded it is not asked */

/* `size` bytes (1 to 512) have just been subtracted from what is left of the line, and less than 0 is left. Returns how many objects
 * one that is hit stands for, in sixteenths; 0: it is not hit. */
uint64_t python_samples_hit(size_t size);

/* As the settings say, when the program begins. */
void python_samples_init(void);
/* In a forked child: what its parent recorded is not in the child's trace. */
void python_samples_forget(void);

static inline void python_samples_look(void)
{
    __atomic_store_n(&python_samples_due, 1, __ATOMIC_RELAXED);
}

#endif
