/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/emit.h"

#include <errno.h>

#include "gate.h"
#include "record/file.h"
#include "record/lane.h"
#include "record/spool.h"
#include "state/sample.h"

__thread struct thread thread_self;

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
 * interrupted emitter could flush it. Nothing left: counted. */
static inline void put(struct stray_lane *lane, const struct stray_event *event)
{
    unsigned active = lane->active & 1;
    uint64_t slot = arch_next(&lane->buffer[active].used);
    if (__builtin_expect(slot >= STRAY_LANE_EVENTS, 0)) {
        if (lane->buffer[active ^ 1].used >= STRAY_LANE_EVENTS) {
            spool_count_lost(1);
            return;
        }
        lane->active = active ^= 1;
        slot = arch_next(&lane->buffer[active].used);
        if (slot >= STRAY_LANE_EVENTS) {
            spool_count_lost(1);
            return;
        }
    }
    store(&lane->events[active][slot], event);
}

static inline bool needs_flush(const struct stray_lane *lane)
{
    return lane->buffer[lane->active & 1].used >= STRAY_LANE_EVENTS;
}

void emit(const struct stray_event *event)
{
    struct stray_lane *lane = thread_self.lane;
    if (__builtin_expect(__atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_LATE, 0)) {
        file_write_late(event);
        return;
    }
    if (__builtin_expect(!lane, 0) && !(lane = lane_take())) {
        spool_count_lost(1);
        return;
    }
    bool outermost = !(thread_self.flags & (THREAD_EMITTING | THREAD_FLUSHING));
    thread_self.flags |= THREAD_EMITTING;
    put(lane, event);
    if (!outermost)
        return;
    if (__builtin_expect(needs_flush(lane), 0))
        lane_flush_full(lane);
    thread_self.flags &= ~(uint32_t)THREAD_EMITTING;
    if (__builtin_expect(event->time >= sample_due, 0))
        sample_take(event->time);
}
