/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The native frames of the calling thread, by remembered rules (rules.h) instead of libunwind: about 5 ns a frame that
 * is new, and 1 ns a frame that is where it was when the last stack was taken.
 *
 * Where a frame is left to depends on three registers and on the words that the frame keeps on the stack. So the part of
 * the last stack that begins at the same registers is the same as long as those words are: they are read again, and
 * nothing else is done. Hashes of that part are kept, too.
 *
 * Reads words of the thread's own stack only. It trusts no table about what is stack: a page counts when a call that
 * cannot fault has read it, once for a thread.
 *
 * What it cannot leave (signal frames, code without unwind tables, frames kept by other registers) is for the slow way;
 * see native.h. Async-signal-safe as far as no two use one `struct unwinder` at a time.
 */
#ifndef STRAY_STACK_UNWIND_H
#define STRAY_STACK_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch.h"

#define UNWIND_MAX   256 /* frames of one stack */
#define UNWIND_KNOWN 512 /* places for the last one and for what it grew by */

/* Frames are in an array, innermost first. The frame address (CFA) of one is the stack pointer of the next; past the
 * outermost frame is one more element for that. */
struct unwind_frame {
    uint64_t ip;      /* return address; of the first, the instruction itself and one */
    uint64_t sp;      /* 0, past the outermost: unknown */
    uint64_t bp;      /* right where UNWIND_NEEDS_BP */
    uint64_t bp_slot; /* where the caller's is kept; 0: nowhere, it is the same */
    uint64_t check_slot, check_value; /* a word that must not have changed, besides the return address */
    uint64_t hash;    /* of this frame and all outer ones */
    uint64_t flags;   /* enum unwind_flags */
};

enum unwind_flags {
    UNWIND_READS_BP = 1, /* where the frame's caller is depends on RBP */
    UNWIND_NEEDS_BP = 2, /* where it or any outer one is does */
    UNWIND_STRANGE = 4,  /* depends on more than is checked: always to be left by its rule */
};

/* Memory of the stack that is known to be readable, and whose thread that is. */
struct unwind_window {
    uint64_t thread, low, high;
};

enum unwind_end {
    UNWIND_COMPLETE,
    UNWIND_CUT,     /* there are more frames than were asked for */
    UNWIND_UNKNOWN, /* at an address of no known module */
    UNWIND_SLOW,    /* not to be unwound this way */
};

/* Zeroed memory; belongs to one capture at a time. */
struct unwinder {
    struct unwind_window window;
    uint64_t epoch;
    size_t first, last; /* the last stack taken is known[first .. last) */
    enum unwind_end end;
    struct unwind_frame known[UNWIND_KNOWN + 1];
    struct unwind_frame fresh[UNWIND_MAX + 1];
};

/* The frames outwards from `start`, whose own is the first, at most `limit` <= UNWIND_MAX. *ret_frames and what it
 * points to is set for UNWIND_COMPLETE and UNWIND_CUT, until the next call. Returns how many; 0 otherwise. */
size_t unwind_frames(struct unwinder *unwinder, struct arch_frame start, size_t limit,
                     const struct unwind_frame **ret_frames, enum unwind_end *ret_end);

/* A hash of `count` frames from `frames` on; cheap where these reach to the end of the last stack taken. */
uint64_t unwind_hash(const struct unwinder *unwinder, const struct unwind_frame *frames, size_t count);

#endif
