/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Recording one event. Thread and signal safe, lock-free, leaves errno alone, never fails visibly: what cannot be
 * recorded is counted as lost.
 */
#ifndef STRAY_PRELOAD_EMIT_H
#define STRAY_PRELOAD_EMIT_H

#include "record/clock.h"
#include "stray/format.h"
#include "stray/hooks.h"

/* Called by the emitter of the first event at or after `emit_due`, once its event is recorded. */
extern uint64_t emit_due ARCH_NEAR; /* event time; UINT64_MAX: never */
extern void (*emit_when_due)(uint64_t time);

/* Records `event`, whose action is not 0. */
void emit(const struct stray_event *event);
/* The same for acquires and releases of kinds whose short lives are told in sum only (heap, PGresult). */
void emit_acquire(const struct stray_event *event);
void emit_release(const struct stray_event *event);
/* The same for a heap block that was released at `time`, that of emit_before_move(). */
void emit_was_freed(uint64_t time, uint64_t handle, uint16_t hook);
/* To be called before the time is taken of a first event to which a second one of this thread belongs: a lane that is taken over
 * later may hold events of its former owner in between. */
void emit_ready(void);
/* The time of `handle`, which is about to be moved or resized: that of `from` below. */
uint64_t emit_before_move(uint64_t handle, uint8_t resource);
/* A block that moved from `from` to `to`, or only changed its size where their handles are the same. */
void emit_move(const struct stray_event *from, const struct stray_event *to);

/* The common cases. Events of one handle with one stamp may change places: what follows from another is stamped later. */
static inline void emit_now(uint8_t action, uint8_t resource, uint16_t hook, uint64_t handle, uint64_t value, uint32_t stack)
{
    struct stray_event event = {clock_after(), handle, value, stack, hook, action, resource};
    emit(&event);
}
static inline void emit_at(uint64_t time, uint8_t action, uint8_t resource, uint16_t hook, uint64_t handle, uint64_t value,
                           uint32_t stack)
{
    struct stray_event event = {time, handle, value, stack, hook, action, resource};
    emit(&event);
}
/* Events that are no hooked call. */
static inline void emit_system(uint8_t action, uint64_t handle, uint64_t value)
{
    emit_now(action, STRAY_RESOURCE_NONE, STRAY_HOOK_NONE, handle, value, 0);
}

#endif
