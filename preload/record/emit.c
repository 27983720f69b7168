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

/* Takes the next slot of the active buffer, or of the other one if a signal handler finds the active one full before the
 * interrupted emitter could flush it. -1: nothing left, and counted. */
static inline int next_slot(struct stray_lane *lane)
{
    unsigned active = lane->active & 1;
    uint64_t slot = arch_next(&lane->buffer[active].used);
    if (__builtin_expect(slot < STRAY_LANE_EVENTS, 1))
        return (int)slot;
    if (lane->buffer[active ^ 1].used < STRAY_LANE_EVENTS) {
        lane->active = active ^= 1;
        slot = arch_next(&lane->buffer[active].used);
        if (slot < STRAY_LANE_EVENTS)
            return (int)slot;
    }
    spool_count_lost(1);
    return -1;
}

/* One emission: what enter() found, for leave(). */
struct emission {
    struct stray_lane *lane; /* NULL: recorded already, or lost */
    struct young *young;     /* NULL: nested in another emission, or no pairs are elided */
    bool outermost;
};

static inline struct emission enter(const struct stray_event *event)
{
    struct emission emission = {.lane = thread_self.lane};
    if (__builtin_expect(__atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_LATE, 0)) {
        file_write_late(event);
        emission.lane = NULL;
        return emission;
    }
    if (__builtin_expect(!emission.lane, 0) && !(emission.lane = lane_take())) {
        spool_count_lost(1);
        return emission;
    }
    emission.outermost = !(thread_self.flags & (THREAD_EMITTING | THREAD_FLUSHING));
    thread_self.flags |= THREAD_EMITTING;
    emission.young = emission.outermost ? young_of(emission.lane) : NULL;
    return emission;
}

static inline bool is_full(const struct emission *emission)
{
    const struct stray_lane *lane = emission->lane;
    return lane->buffer[lane->active & 1].used >= STRAY_LANE_EVENTS &&
           !(emission->young && young_has_slot(emission->young, lane));
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

/* Returns the slot, -1 if there was none. */
static inline int put(const struct emission *emission, const struct stray_event *event)
{
    struct stray_lane *lane = emission->lane;
    int slot = emission->young ? young_slot(emission->young, lane) : -1;
    if (slot < 0)
        slot = next_slot(lane);
    if (slot >= 0)
        store(&lane->events[lane->active & 1][slot], event);
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
    if (!emission.lane)
        return;
    int slot = put(&emission, event);
    if (emission.young && slot >= 0)
        young_remember(emission.young, event->handle, (unsigned)slot);
    leave(&emission, event->time);
}

/* The sum is in place before the acquire goes: whenever the process is killed, nothing is missing. */
static void elide(const struct emission *emission, struct stray_event *acquire, uint64_t time)
{
    unsigned active = emission->lane->active;
    if (young_add(emission->young, emission->lane, acquire, time))
        return;
    struct stray_event sum = young_sum(acquire, time);
    int slot = put(emission, &sum);
    if (slot < 0 || emission->lane->active != active)
        return; /* no room for the sum: the acquire stays */
    young_sum_at(emission->young, &sum, (unsigned)slot);
    young_free(emission->young, emission->lane, acquire);
}

void emit_release(const struct stray_event *event)
{
    struct emission emission = enter(event);
    if (!emission.lane)
        return;
    struct stray_event *acquire =
        emission.young ? young_find(emission.young, emission.lane, event->handle, event->resource) : NULL;
    if (acquire)
        elide(&emission, acquire, event->time);
    else
        put(&emission, event);
    leave(&emission, event->time);
}

/* An acquire that is still in the buffer takes the new size, and where the block moved, the new address from the time of
 * the move on: before it, that address was somebody else's. */
static void follow(struct young *young, const struct stray_lane *lane, struct stray_event *acquire,
                   const struct stray_event *to)
{
    acquire->value = to->value;
    if (acquire->handle == to->handle)
        return;
    acquire->time = to->time;
    acquire->handle = to->handle;
    young_remember(young, to->handle, (unsigned)(acquire - lane->events[lane->active & 1]));
}

/* Both halves stand in this lane, in this order, with nothing of the kind between. */
void emit_move(const struct stray_event *from, const struct stray_event *to)
{
    struct stray_lane *lane = thread_self.lane;
    bool plain = !(thread_self.flags & (THREAD_EMITTING | THREAD_FLUSHING)) &&
                 !(__atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_LATE);
    struct young *young = lane && plain ? young_of(lane) : NULL;
    struct stray_event *acquire = young ? young_find(young, lane, from->handle, from->resource) : NULL;
    if (acquire) {
        thread_self.flags |= THREAD_EMITTING;
        follow(young, lane, acquire, to);
        thread_self.flags &= ~(uint32_t)THREAD_EMITTING;
        return;
    }
    if (from->handle != to->handle)
        emit(from);
    emit(to);
}
