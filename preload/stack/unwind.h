/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The native frames of the calling thread, by remembered rules (rules.h) instead of libunwind: about 8 ns a
 * frame that is new, and less than 1 ns a frame that is where it was when the last stack was taken.
 *
 * Where a frame is left to depends on three registers and on the words that the frame keeps on the stack. So
 * the part of the last stack that begins at the same registers is the same as long as those words are: they
 * are read again, and nothing else is done. A hash of that part is kept, too.
 *
 * Reads words of the thread's own stack only. It trusts no table about what is stack: a page counts when a
 * call that cannot fault has read it, once for a thread.
 *
 * Code that is not described is taken to keep frame pointers, as libunwind takes it, if what it finds by them
 * makes sense. What cannot be left (frames kept by other registers, signals on a stack of their own) is for
 * the slow way; see native.h. Async-signal-safe as long as no two use one `struct unwinder` at a time.
 */
#ifndef STRAY_STACK_UNWIND_H
#define STRAY_STACK_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch.h"

#define UNWIND_MAX    256 /* frames of one stack */
#define UNWIND_KNOWN  512 /* places for the last one and for what it grew by */
#define UNWIND_PAGES  256
#define UNWIND_STACKS 4 /* last stacks: programs allocate in turns at a few places */

/* Frames are in an array, innermost first. The frame address (CFA) of one is the stack pointer of the next;
 * past the outermost frame is one more element for that. */
struct unwind_frame {
    uint64_t ip;      /* return address; of what was not left by a call, the instruction itself and one */
    uint64_t sp;      /* 0, past the outermost: unknown */
    uint64_t bp;      /* right where UNWIND_NEEDS_BP */
    uint64_t bp_slot; /* where the caller's is kept; 0: nowhere, it is the same */
    uint64_t check_slot, check_value; /* a word that must not have changed, besides the return address */
    uint64_t hash;                    /* of this frame and all outer ones */
    uint32_t flags;                   /* enum unwind_flags */
    uint32_t node;                    /* whatever a caller puts there; 0 again when this or an outer frame changes */
};

enum unwind_flags {
    UNWIND_READS_BP = 1, /* where the frame's caller is depends on RBP */
    UNWIND_NEEDS_BP = 2, /* where it or any outer one is does */
    UNWIND_STRANGE = 4,  /* depends on more than is checked: always to be left by its rule */
};

enum unwind_end {
    UNWIND_COMPLETE,
    UNWIND_CUT,     /* there are more frames than were asked for */
    UNWIND_UNKNOWN, /* at an address of no known module */
    UNWIND_SLOW,    /* not to be unwound this way */
};

/* Memory around the stack pointer that is known to be readable, and whose thread that is. */
struct unwind_window {
    uint64_t thread, low, high;
    uint64_t number;              /* another one for every other stack */
    uint64_t pages[UNWIND_PAGES]; /* seen readable by this thread, by the low bits of their numbers */
};

/* Whether it is this thread's, and a stack that begins at `sp` lies in it. */
static inline bool unwind_holds(const struct unwind_window *window, uint64_t sp)
{
    return window->thread == arch_thread() && sp >= window->low && sp < window->high;
}

/* The last stack of some callers: frames[first .. last). */
struct unwind_stack {
    uint64_t window; /* by its number; 0: of none, the frames are being changed */
    uint32_t generation;
    enum unwind_end end;
    size_t first, last;
    struct unwind_frame frames[UNWIND_KNOWN + 1];
};

/* Zeroed memory; belongs to one capture at a time. */
struct unwinder {
    struct unwind_window window;
    struct unwind_stack stacks[UNWIND_STACKS];
    struct unwind_frame fresh[UNWIND_MAX + 1];
};

/* Looks at the stack that holds `sp`: unwind_holds() is true afterwards. The window's number stays if it is the one that was looked at
 * last, and all between can be read. */
void unwind_begin(struct unwinder *unwinder, uint64_t sp);

/* The frames outwards from `start`, whose own is the first, at most `limit` <= UNWIND_MAX. `hint` is a number
 * that is often the same when the stack is. Returns how many; for ends other than UNWIND_COMPLETE and
 * UNWIND_CUT, 0. Sets *ret_frames if there are any; they last until the next call. */
size_t unwind_frames(struct unwinder *unwinder, const struct arch_frame *start, uint64_t hint, size_t limit,
                     struct unwind_frame **ret_frames, enum unwind_end *ret_end);

/* A hash of addresses of frames: the same whichever way they were found. Where `count` frames from `frames`
 * on are all up to the end of a complete stack, that is frames->hash. */
uint64_t unwind_hash(const struct unwind_frame *frames, size_t count);

#endif
