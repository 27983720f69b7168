/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/emit.h"

#include <errno.h>

#include "gate.h"
#include "record/file.h"
#include "record/lane.h"
#include "record/spool.h"
#include "record/young.h"
#include "settings.h"

/* What an emission consists of is one function, so that its event stays in registers. */
#define INLINE static inline __attribute__((always_inline))

__thread struct thread thread_self;
uint64_t emit_due = UINT64_MAX;
void (*emit_when_due)(uint64_t time);

static inline struct stray_event *slot_of(struct stray_lane *lane, unsigned which)
{
    uint64_t slot = arch_next(&lane->buffer[which].used);
    return __builtin_expect(slot < STRAY_LANE_EVENTS, 1) ? &lane->events[which][slot] : NULL;
}

/* One emission: what enter() found, for leave(). */
struct emission {
    struct stray_lane *lane; /* NULL: recorded already, or lost */
    struct young *young; /* NULL: nested in another emission, or no pairs are elided */
    unsigned active;     /* the buffer that takes new events; it stays so until the outermost emitter leaves */
    uint32_t flags;      /* of the thread, before */
};

static inline bool is_outermost(const struct emission *emission)
{
    return !(emission->flags & (THREAD_EMITTING | THREAD_FLUSHING));
}

/* Where the lane is not to be had. `flags`: of the thread, before. */
static __attribute__((noinline)) struct stray_lane *enter_slowly(const struct stray_event *event, uint32_t flags)
{
    struct stray_lane *lane = thread_self.lane ? thread_self.lane : lane_take(event->time);
    if (__atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_LATE) { /* whoever closes the trace may have missed a new lane */
        thread_self.flags = flags;                                  /* no lane is written to: lane_settle() need not wait */
        file_write_late(event);                                     /* once the process is traced no more, that does nothing */
        return NULL;
    }
    if (!lane)
        spool_count_lost(1);
    return lane;
}

INLINE struct emission enter(const struct stray_event *event)
{
    struct emission emission = {.flags = thread_self.flags};
    thread_self.flags = emission.flags | THREAD_EMITTING; /* before the lane is read: a handler that forks then knows */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    bool late = __atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_LATE; /* last: see lane_settle() */
    emission.lane = thread_self.lane;
    if (__builtin_expect(late || !emission.lane, 0) && !(emission.lane = enter_slowly(event, emission.flags))) {
        thread_self.flags = emission.flags;
        return emission;
    }
    emission.active = emission.lane->active & 1;
    if (is_outermost(&emission))
        emission.young = young_mine();
    return emission;
}

/* Room is made before there is none, so that signal handlers that arrive meanwhile find some. */
INLINE bool is_full(const struct emission *emission)
{
    return emission->lane->buffer[emission->active].used >= STRAY_LANE_EVENTS - LANE_RESERVE &&
           !(emission->young && young_has_slot(emission->young));
}

INLINE void leave(const struct emission *emission, uint64_t time)
{
    if (__builtin_expect(!is_outermost(emission), 0))
        return;
    if (__builtin_expect(is_full(emission), 0))
        lane_make_room(emission->lane);
    thread_self.flags = emission->flags;
    if (__builtin_expect(time >= emit_due, 0))
        emit_when_due(time);
}

/* NULL: a handler that came amid an emission used them up. */
INLINE struct stray_event *next_slot(const struct emission *emission)
{
    return emission->young ? young_slot(emission->young) : slot_of(emission->lane, emission->active);
}

/* Returns the slot; NULL if there was none: then the event is written out alone. */
INLINE struct stray_event *put(const struct emission *emission, const struct stray_event *event)
{
    struct stray_event *slot = next_slot(emission);
    if (__builtin_expect(slot != NULL, 1))
        young_store(slot, event);
    else
        file_write_late(event);
    return slot;
}

/* Of the kinds that the user wants. A connection begins as a socket, which is wanted with it. */
static bool is_wanted(uint8_t resource)
{
    uint64_t wanted = settings.only | (settings.only >> STRAY_CONNECTION & 1) << STRAY_SOCKET;
    return resource == STRAY_RESOURCE_NONE || wanted >> resource & 1;
}

void emit(const struct stray_event *event)
{
    if (!is_wanted(event->resource))
        return;
    struct emission emission = enter(event);
    if (!emission.lane)
        return;
    put(&emission, event);
    leave(&emission, event->time);
}

void emit_acquire(const struct stray_event *event)
{
    if (!is_wanted(event->resource))
        return;
    struct emission emission = enter(event);
    if (__builtin_expect(!emission.lane, 0))
        return;
    const struct stray_event *slot = put(&emission, event);
    if (emission.young && __builtin_expect(slot != NULL, 1))
        young_remember(emission.young, event->handle, slot);
    leave(&emission, event->time);
}

/* The sum is in place before the acquire goes: whenever the process is killed, nothing is missing. */
INLINE bool elide(const struct emission *emission, const struct stray_event *event)
{
    struct young *young = emission->young;
    struct stray_event *acquired = young ? young_take(young, event->handle, event->resource) : NULL;
    return acquired && (young_add(young, acquired, event->time) || young_begin_sum(young, acquired, event->time));
}

/* What is not elided may have been acquired elsewhere: then the counter must not be read before the handle has come, nor, of
 * what is over, after it was given up. */
INLINE void release(const struct stray_event *event, bool over)
{
    struct emission emission = enter(event);
    if (__builtin_expect(!emission.lane, 0))
        return;
    if (!elide(&emission, event)) {
        struct stray_event told = *event;
        told.time = young_outdate(event->handle, over ? event->time : clock_after());
        put(&emission, &told);
    }
    leave(&emission, event->time);
}

void emit_release(const struct stray_event *event)
{
    release(event, false);
}

void emit_was_freed(uint64_t time, uint64_t handle, uint16_t hook)
{
    struct stray_event event = {time, handle, 0, 0, hook, STRAY_CLOSE, STRAY_HEAP};
    release(&event, true);
}

/* An acquire that is still in the lane takes the new size, and where the block moved, the new address from the time of
 * the move on: before it, that address was somebody else's. */
static void follow(struct young *young, struct stray_event *acquired, const struct stray_event *to)
{
    acquired->value = to->value;
    if (acquired->handle != to->handle) {
        young_moves(young, acquired, to->time);
        acquired->time = to->time;
        acquired->handle = to->handle;
    }
    young_remember(young, to->handle, acquired);
}

void emit_ready(void)
{
    if (__builtin_expect(thread_self.lane != NULL, 1))
        return;
    uint32_t flags = thread_self.flags;
    thread_self.flags = flags | THREAD_EMITTING;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    lane_take(clock_before());
    thread_self.flags = flags;
}

uint64_t emit_before_move(uint64_t handle, uint8_t resource)
{
    emit_ready();
    uint64_t time = clock_before();
    return thread_self.lane && young_may_follow(handle, resource, time) ? time : young_outdate(handle, clock_after());
}

/* Where there is one slot only it stays empty: the reader looks for the second half in the lane of the first, so they must not
 * be parted. */
static void put_move(const struct emission *emission, const struct stray_event *from, const struct stray_event *to)
{
    struct stray_event *first = next_slot(emission), *second = next_slot(emission);
    if (first && second) {
        young_store(first, from);
        young_store(second, to);
    } else {
        file_write_late(from);
        file_write_late(to);
    }
}

/* Both halves stand in one lane, in this order, with nothing of the kind between. */
void emit_move(const struct stray_event *from, const struct stray_event *to)
{
    bool moved = from->handle != to->handle;
    struct emission emission = enter(moved ? from : to);
    if (!emission.lane) {
        if (moved)
            emit(to);
        return;
    }
    struct stray_event *acquired = emission.young ? young_take(emission.young, from->handle, from->resource) : NULL;
    if (acquired) {
        follow(emission.young, acquired, to);
    } else if (moved) {
        put_move(&emission, from, to);
    } else {
        put(&emission, to);
    }
    leave(&emission, to->time);
}
