/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One stack from the native and the Python frames of a thread: each run of Python frames stands in the place
 * of the native frame of the evaluator that executes it.
 *
 * From 3.11 a run's evaluator is known by address: the native frame that contains the run's `host`, that is,
 * between the canonical frame addresses of the next inner frame and its own (DWARF's CFA: the stack pointer
 * before the call). Where that is not to be had, the n-th native frame inside the evaluator's code hosts the
 * n-th run. What matches nothing is kept, in its order, and Python frames then stand outside of the native
 * ones.
 *
 * Pure; async-signal-safe; no bound on time but the product of native frames and runs.
 */
#ifndef STRAY_STACK_MERGE_FRAMES_H
#define STRAY_STACK_MERGE_FRAMES_H

#include "stack/python.h"

struct native_frame {
    uint64_t ip;  /* return address, or the instruction itself */
    uint64_t cfa; /* 0: unknown */
};

struct merged_frame {
    bool python;
    uint32_t index; /* into the native or the Python frames */
};

/* The Python frames of one evaluator. */
struct merge_run {
    uint64_t host; /* an address inside the evaluator's native frame; 0: not known */
    size_t end;    /* one past its last frame */
};

/* Both lists are innermost first. */
struct merge_input {
    const struct native_frame *native;
    size_t native_count;
    const struct python_frame *python;
    size_t python_count;
    struct merge_run *runs; /* room for `python_count` of them */
    struct evaluator evaluator;
    uint64_t stack; /* an address of the stack further in than the first native frame, such as that of the
                     * caller's own frame; 0: unknown */
};

/* Returns how many frames were written to `merged`, innermost first, at most `capacity`; as many as both
 * lists have together are enough for everything. */
size_t merge_frames(const struct merge_input *input, struct merged_frame *merged, size_t capacity);

#endif
