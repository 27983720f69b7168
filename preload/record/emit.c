/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/emit.h"

#include <errno.h>

#include "gate.h"
#include "record/file.h"
#include "record/lane.h"
#include "record/spool.h"
#include "record/young.h"
#include "settings.h"

__thread struct thread thread_self;
uint64_t emit_due = UINT64_MAX;
void (*emit_when_due)(uint64_t time);

/* The last 8 bytes are stored as one word, so that an event is there or is not. */
static inline void store(struct stray_event *slot, const struct stray_event *event)
{
    uint64_t commit;
    __builtin_memcpy(&commit, &event->stack, sizeof(commit));
    slot->time = event->time;
    slot->handle = event->handle;
    slot->value = event->value;
    __atomic_store_n((uint64_t *)(void *)&slot->stack, commit, __ATOMIC_RELEASE);
}

static inline struct stray_event *slot_of(struct stray_lane *lane, unsigned which)
{
    uint64_t slot = arch_next(&lane->buffer[which].used);
    return __builtin_expect(slot < STRAY_LANE_EVENTS, 1) ? &lane->events[which][slot] : NULL;
}

/* Takes the next slot of the active buffer, or of the other one if a signal handler finds the active one full before the
 * interrupted emitter could flush it. NULL: nothing left, and counted. */
static inline struct stray_event *next_slot(struct stray_lane *lane)
{
    unsigned active = lane->active & 1;
    struct stray_event *slot = slot_of(lane, active);
    if (__builtin_expect(!slot && lane->buffer[active ^ 1].used < STRAY_LANE_EVENTS, 0)) {
        lane->active = active ^ 1;
        slot = slot_of(lane, active ^ 1);
    }
    if (__builtin_expect(!slot, 0))
        spool_count_lost(1);
    return slot;
}

/* One emission: what enter() found, for leave(). */
struct emission {
    struct stray_lane *lane; /* NULL: recorded already, or lost */
    struct young_buffer buffer; /* .young NULL: nested in another emission, or no pairs are elided */
    unsigned active;         /* the buffer it works on, whatever handlers do meanwhile */
    bool outermost;
};

static inline struct young_buffer buffer_of(struct stray_lane *lane, unsigned which)
{
    return (struct young_buffer){young_of(lane), lane->events[which], lane->buffer[which].sequence};
}

static inline struct emission enter(const struct stray_event *event)
{
    struct emission emission = {.outermost = !(thread_self.flags & (THREAD_EMITTING | THREAD_FLUSHING))};
    if (__builtin_expect(__atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_LATE, 0)) {
        file_write_late(event);
        return emission;
    }
    thread_self.flags |= THREAD_EMITTING; /* before the lane is looked at: a handler that forks leaves it to the parent */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    emission.lane = thread_self.lane;
    if (__builtin_expect(!emission.lane, 0) && !(emission.lane = lane_take(event->time))) {
        spool_count_lost(1);
        if (emission.outermost)
            thread_self.flags &= ~(uint32_t)THREAD_EMITTING;
        return emission;
    }
    emission.active = emission.lane->active & 1;
    if (emission.outermost)
        emission.buffer = buffer_of(emission.lane, emission.active);
    return emission;
}

/* Whether a buffer has no room left; the one it began with has none if a handler has gone on to the other. */
static inline bool is_full(const struct emission *emission)
{
    const struct stray_lane *lane = emission->lane;
    if (lane->active != emission->active)
        return true;
    return lane->buffer[emission->active].used >= STRAY_LANE_EVENTS &&
           !(emission->buffer.young && young_has_slot(&emission->buffer));
}

static inline void leave(const struct emission *emission, uint64_t time)
{
    if (!emission->outermost)
        return;
    if (__builtin_expect(is_full(emission), 0))
        lane_flush_full(emission->lane);
    thread_self.flags &= ~(uint32_t)THREAD_EMITTING;
    if (__builtin_expect(time >= emit_due, 0))
        emit_when_due(time);
}

/* Returns the slot, NULL if there was none. */
static inline struct stray_event *put(const struct emission *emission, const struct stray_event *event)
{
    struct stray_event *slot = emission->buffer.young ? young_slot(&emission->buffer) : NULL;
    if (!slot)
        slot = next_slot(emission->lane);
    if (slot)
        store(slot, event);
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

/* Whether `slot` is one of the buffer that the pairs of this emission are looked for in. */
static inline bool is_young(const struct emission *emission, const struct stray_event *slot)
{
    return emission->buffer.young && slot && (size_t)(slot - emission->buffer.events) < STRAY_LANE_EVENTS;
}

void emit_acquire(const struct stray_event *event)
{
    if (!is_wanted(event->resource))
        return;
    struct emission emission = enter(event);
    if (!emission.lane)
        return;
    struct stray_event *slot = put(&emission, event);
    if (is_young(&emission, slot))
        young_remember(&emission.buffer, event->handle, slot);
    leave(&emission, event->time);
}

/* A place for a sum in the acquire's own buffer: a sum elsewhere could outlive or precede it. NULL: there is no room. */
static struct stray_event *sum_slot(const struct emission *emission)
{
    struct stray_event *slot = young_slot(&emission->buffer);
    return slot ? slot : slot_of(emission->lane, emission->active);
}

/* The sum is in place before the acquire goes: whenever the process is killed, nothing is missing. */
static bool elide(const struct emission *emission, struct stray_event *acquire, uint64_t time)
{
    if (young_add(&emission->buffer, acquire, time))
        return true;
    struct stray_event sum = young_sum(acquire, time), *slot = sum_slot(emission);
    if (!slot)
        return false;
    store(slot, &sum);
    young_sum_at(&emission->buffer, &sum, slot);
    young_free(&emission->buffer, acquire);
    return true;
}

void emit_release(const struct stray_event *event)
{
    struct emission emission = enter(event);
    if (!emission.lane)
        return;
    struct stray_event *acquire =
        emission.buffer.young ? young_find(&emission.buffer, event->handle, event->resource) : NULL;
    if (!acquire || !elide(&emission, acquire, event->time)) {
        young_outdate(event->handle, event->time);
        put(&emission, event);
    }
    leave(&emission, event->time);
}

/* An acquire that is still in the buffer takes the new size, and where the block moved, the new address from the time of
 * the move on: before it, that address was somebody else's. */
static void follow(const struct young_buffer *buffer, struct stray_event *acquire, const struct stray_event *to)
{
    acquire->value = to->value;
    if (acquire->handle == to->handle)
        return;
    acquire->time = to->time;
    acquire->handle = to->handle;
    young_remember(buffer, to->handle, acquire);
}

/* Both halves stand in this lane, in this order, with nothing of the kind between. */
void emit_move(const struct stray_event *from, const struct stray_event *to)
{
    bool moved = from->handle != to->handle;
    struct emission emission = enter(moved ? from : to);
    if (!emission.lane) {
        if (moved)
            emit(to);
        return;
    }
    struct stray_event *acquire =
        emission.buffer.young ? young_find(&emission.buffer, from->handle, from->resource) : NULL;
    if (acquire) {
        follow(&emission.buffer, acquire, to);
    } else {
        young_outdate(from->handle, from->time);
        if (moved)
            put(&emission, from);
        put(&emission, to);
    }
    leave(&emission, to->time);
}
