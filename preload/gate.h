/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every hook asks first: is this process traced, and may this thread record now?
 *
 * The gate word lies on a page that the kernel wipes in a forked child, so that a child finds 0 there without a
 * system call, whichever way it was made. 0 also means "not initialised yet": both lead to gate_open_slow().
 *
 * Thread and signal safe.
 */
#ifndef STRAY_PRELOAD_GATE_H
#define STRAY_PRELOAD_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch.h"
#include "stray/format.h"

enum gate_bits {
    GATE_KNOWN = 1,  /* initialised in this very process */
    GATE_TRACED = 2, /* hooks record */
    GATE_HEAP = 4,   /* heap hooks record, too */
    GATE_LATE = 8,   /* the trace was closed: what still happens is written through */
    GATE_SAMPLED = 16, /* instead of GATE_HEAP: heap hooks record samples */
    GATE_WHOLE = 32, /* no pairs are elided any more (record/young.h) */
    GATE_CALL = 64,  /* the time is not read from the processor's counter */
};

enum thread_flags {
    THREAD_INSIDE = 1,    /* the tracer calls libc functions that we hook: let them pass unseen */
    THREAD_UNWINDING = 2, /* capturing a stack: a signal handler's event has its caller only */
    THREAD_EMITTING = 4,  /* between slot and commit: no flush may begin */
    THREAD_FLUSHING = 8,
    THREAD_VFORKED = 16, /* a vfork child runs here, in this memory */
};

#define THREAD_PAIRS 8

struct thread {
    struct stray_lane *lane; /* NULL until the first event */
    uint32_t flags;
    uint32_t libpq_depth; /* > 0 inside a libpq call: inner ones are its own business */
    uintptr_t frame;      /* stack pointer of the last hook that began with no flag set */
    struct young *young;  /* of the lane; NULL: not asked for yet, or none (record/young.h) */
    struct familiar *familiar; /* ... the same (stack/familiar.h); NULL inside libpq calls, too */
    uintptr_t libpq_frame; /* the outermost libpq call's, of its hook */
    uint64_t lane_after;  /* event time before which no lane is looked for: there was none */
    const void *libpq_given; /* the real call behind the hook that is being entered by its address (hooks/given.h) */
    uint64_t number;      /* of a thread that a hook has made, from 1; 0: of any other (state/threads.h) */
    uint32_t tid;         /* ... its id */
    uint32_t fate;        /* ... enum thread_fate */
    uint32_t pair_depth;  /* calls of user-defined pairs that are under way, one inside the other */
    uint64_t pairs[THREAD_PAIRS]; /* ... the outermost of them: where the frame is << 8, number of the entry */
    uint64_t libpq_call;  /* the number of a libpq call that is under way, which no other call of this process has; 0: of none, or
                             something that it called back has called libpq itself */
    uint64_t libpq_calls; /* ... the last number given to one of this thread's calls */
    struct familiar *stacks; /* what `familiar` is outside of libpq calls */
};

extern __thread struct thread thread_self __attribute__((tls_model("initial-exec"))) ARCH_NEAR;
extern uint32_t *gate_word ARCH_NEAR;

/* Initialises the process or the forked child; returns the gate's bits. Defined in state/incarnation.c.
 * A program is begun by who asks for GATE_HEAP only, once the allocator has returned: other hooks may be called from inside an
 * allocator that holds its lock, and the beginning allocates. */
uint32_t gate_open_slow(uint32_t bits);

/* Whether a hook whose events need all `bits` may record. */
static inline bool gate_open(uint32_t bits)
{
    uint32_t word = __atomic_load_n(gate_word, __ATOMIC_ACQUIRE);
    if (__builtin_expect(!(word & GATE_KNOWN), 0))
        word = gate_open_slow(bits);
    if (__builtin_expect(thread_self.flags == 0, 1))
        thread_self.frame = arch_stack_pointer();
    return (word & bits) == bits && __builtin_expect(!(thread_self.flags & THREAD_INSIDE), 1);
}

/* Around the tracer's own calls into libc. Returns the flags to give to gate_leave(). */
static inline uint32_t gate_enter(void)
{
    uint32_t flags = thread_self.flags;
    thread_self.flags = flags | THREAD_INSIDE;
    return flags;
}
static inline void gate_leave(uint32_t flags)
{
    thread_self.flags = flags;
}

/* How many of the calls of user-defined pairs lie further out than `frame`. The others were left, by a jump if not by a return. */
static inline uint32_t gate_pairs_around(uintptr_t frame)
{
    uint32_t depth = thread_self.pair_depth, known = depth < THREAD_PAIRS ? depth : THREAD_PAIRS, around = known;
    while (around > 0 && thread_self.pairs[around - 1] >> 8 <= frame)
        around--;
    return around < known ? around : depth;
}

/* Whether the hook whose frame is `frame` was called inside of the call of libpq that is under way. If it lies further out, that call
 * was left, by a way that nobody saw. */
static inline bool gate_inside_libpq(uintptr_t frame)
{
    if (thread_self.libpq_depth != 0 && frame >= thread_self.libpq_frame)
        thread_self.libpq_depth = 0;
    return thread_self.libpq_depth != 0;
}

/* The thread is about to continue at a frame whose stack pointer is `target`: a jump. What it leaves behind is no longer
 * under way. A signal handler may jump inside itself, too: then `target` lies further in, and nothing is left. */
static inline void gate_jump(uintptr_t target)
{
    if (thread_self.flags != 0 && target > thread_self.frame)
        thread_self.flags &= THREAD_VFORKED; /* a vfork child stays one */
    if (thread_self.libpq_depth != 0 && target > thread_self.libpq_frame)
        thread_self.libpq_depth = 0;
    if (thread_self.pair_depth != 0)
        thread_self.pair_depth = gate_pairs_around(target);
}

#endif
