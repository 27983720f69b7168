/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The usual emission of a heap block, without what only others need: this thread is not at work for the tracer, it has a
 * lane, pairs are elided, the clock is the counter, and the trace is open. Whatever is unusual is left to record/emit.h.
 *
 * From quick_begin() on the thread's flags say that it emits and captures, so that the handler of a signal that arrives
 * meanwhile leaves the lane's index and the stacks alone, and lane_settle() waits. All others end that. They are parts of
 * one function, which calls others at its end only: so it keeps nothing for after a call.
 */
#ifndef STRAY_PRELOAD_QUICK_H
#define STRAY_PRELOAD_QUICK_H

#include "gate.h"
#include "record/emit.h"
#include "record/young.h"

#define QUICK static inline __attribute__((always_inline))

QUICK void quick_end(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    thread_self.flags = 0;
}

QUICK bool quick_gate_is_open(void)
{
    return __atomic_load_n(gate_word, __ATOMIC_RELAXED) == (GATE_KNOWN | GATE_TRACED | GATE_HEAP);
}

/* NULL: an unusual case. */
QUICK struct young *quick_begin(void)
{
    if (__builtin_expect(thread_self.flags != 0, 0))
        return NULL;
    thread_self.frame = arch_stack_pointer();
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* gate_jump() looks at it where a flag is set */
    thread_self.flags = THREAD_EMITTING | THREAD_UNWINDING;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    struct young *young = thread_self.young; /* not before: a handler may have forked, and the child has forgotten it */
    if (__builtin_expect(!young, 0) || __builtin_expect(!quick_gate_is_open(), 0)) {
        quick_end();
        return NULL;
    }
    return young; /* the gate was looked at last: see lane_settle() */
}

/* After an event of `time`, which is long. */
void quick_leave_slowly(const struct young *young, uint64_t time);

QUICK void quick_leave(const struct young *young, uint64_t time)
{
    if (__builtin_expect(young_is_full(young) || time >= emit_due, 0))
        quick_leave_slowly(young, time);
    else
        quick_end();
}

/* An acquire for which there is no slot. */
void quick_acquire_late(struct young *young, uint64_t handle, uint64_t size, uint32_t stack, uint16_t hook);

QUICK void quick_acquire_as(struct young *young, uint64_t handle, uint64_t size, uint32_t stack, uint16_t hook, bool beneath)
{
    struct stray_event *slot = young_slot(young);
    if (__builtin_expect(!slot, 0)) {
        quick_acquire_late(young, handle, size, stack, hook);
        return;
    }
    uint64_t time = beneath ? young_acquired_beneath(young, handle, stack) : young_acquired_at(arch_ticks_before(), handle);
    struct stray_event event = {time, handle, size, stack, hook, STRAY_OPEN, STRAY_HEAP};
    young_store(slot, &event);
    young_remember(young, handle, slot);
    quick_leave(young, time);
}

QUICK void quick_acquire(struct young *young, uint64_t handle, uint64_t size, uint32_t stack, uint16_t hook)
{
    quick_acquire_as(young, handle, size, stack, hook, false);
}

/* The same with the stack of the call of libpq that is under way. */
QUICK void quick_acquire_beneath(struct young *young, uint64_t handle, uint64_t size, uint32_t stack, uint16_t hook)
{
    quick_acquire_as(young, handle, size, stack, hook, true);
}

/* A release of what is not in its sets. */
void quick_release_unknown(struct young *young, uint64_t handle, uint16_t hook);
/* One that may be in the lane, but is not the end of the first pair of its kind. */
void quick_release_slowly(struct young *young, uint64_t handle, uint16_t hook);

/* The counter is read once something is found that may be the acquire, for that is this thread's own: the counter need not
 * wait for the handle to have come. Nothing new is in the lane after that: it cannot be full. */
QUICK void quick_release(struct young *young, uint64_t handle, uint16_t hook)
{
    young_place *place = young_like(young, handle);
    if (__builtin_expect(!place, 0)) {
        quick_release_unknown(young, handle, hook);
        return;
    }
    struct stray_event *acquired = young_at(young, *place);
    uint64_t time = young_ended(young, acquired->stack);
    if (__builtin_expect(!young_stands(acquired, handle, STRAY_HEAP) || !young_add(young, acquired, time), 0)) {
        quick_release_slowly(young, handle, hook);
        return;
    }
    *place = 0;
    if (__builtin_expect(time >= emit_due, 0))
        quick_leave_slowly(young, time);
    else
        quick_end();
}

#endif
