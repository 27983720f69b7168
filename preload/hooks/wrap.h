/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules for code that runs inside the traced program. They hold for everything in preload/:
 *
 *  1. No malloc, no stdio, no locale, no libc call that may lock or allocate; system calls are raw (sys.h). Exceptions
 *     are marked "not signal safe" and run at start or once for a call site, under gate_enter().
 *  2. errno is the program's: whatever is done after the real call leaves it as the real call did.
 *  3. Async-signal-safe: a signal may arrive inside any hook, and its handler may call hooked functions.
 *  4. No unbounded loop, no blocking call on a hot path, never abort().
 *  5. Bounded stack: some threads have 16 KiB.
 *  6. An acquire is stamped after the real call, a release before it.
 *  7. Guard the tracer's own work, never the real call: the malloc inside PQconnectdb must be seen.
 */
#ifndef STRAY_PRELOAD_WRAP_H
#define STRAY_PRELOAD_WRAP_H

#include "gate.h"
#include "hooks/prototypes.h"
#include "real.h"
#include "record/clock.h"
#include "record/emit.h"
#include "stack/capture.h"

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* The handle of what is known by its address. */
static inline uint64_t handle_of(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

/* The gate's bits that events of a resource need. */
#define BITS_OF(resource) ((resource) == STRAY_HEAP ? GATE_TRACED | GATE_HEAP : GATE_TRACED)

#define CALLER() __builtin_return_address(0)
/* Of a hook: where it was called from, and what its caller's frame pointer was. */
#define FRAME() __builtin_frame_address(0)
/* Before the return of a hook that hands its frame to what it returns the result of: that must not become a jump, which would
 * take the frame away first. */
#define STAY()  __asm__ volatile("" : : : "memory")

static inline const void *caller_of(const void *frame)
{
    return ((const void *const *)frame)[1];
}

/* Marks the beginning of the end when the Python interpreter is found to be finalizing, and sees to it that its allocators
 * are hooked while it is not. Cheap; called by the hooks of
 * acquires and of the releases that matter. */
void note_finalizing(void);

/* A handle acquired just now by `hook`, called from `caller`. */
void record_open(uint16_t hook, uint8_t resource, uint64_t handle, uint64_t size, const void *caller);
/* The same for a heap block acquired by `hook`, whose frame it is, and one about to be released, which takes no stack with
 * it. The first two ask the gate themselves and do what is usual; false: nothing was done. */
bool record_usual_block(uint16_t hook, uint64_t handle, uint64_t size, const void *frame);
bool record_usual_free(uint16_t hook, uint64_t handle);
void record_block(uint16_t hook, uint64_t handle, uint64_t size, const void *frame);
void record_freed(uint16_t hook, uint64_t handle);
/* Another handle about to be released. */
void record_close(uint16_t hook, uint8_t resource, uint64_t handle, const void *caller);

#endif
