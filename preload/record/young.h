/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lives that begin and end within the two buffers of one lane leave no events: their two records are replaced by an
 * addition to a sum kept for their site (and the order of magnitude of their age) in one of the buffers. The sums are
 * events like any other, so they survive whatever the lane survives. Most blocks die young: a log then grows with what
 * survives.
 *
 * The index behind it is private to the lane and holds nothing that is not checked against the buffers before use.
 * Called by the outermost emitter of the lane's own thread only, but for what knows of times.
 */
#ifndef STRAY_PRELOAD_YOUNG_H
#define STRAY_PRELOAD_YOUNG_H

#include <stdbool.h>
#include <stddef.h>

#include "record/clock.h"
#include "record/spool.h"
#include "stray/format.h"

#define LANE_RESERVE   32u /* slots for signal handlers that arrive when a buffer is about to be full */
#define YOUNG_SETS     1024u /* of each buffer; powers of two, all of them */
#define YOUNG_WAYS     4u
#define YOUNG_SUMS     512u
#define YOUNG_OUTDATED 16384u

#define YOUNG_CHAINS   256u

/* A block that moved, and whose acquire was given the time of the move. */
struct young_chain {
    uint64_t time; /* of that acquire */
    uint64_t born; /* before any move */
};

/* Where an acquire stands: the upper half tells its handle from most others, the lower one is its slot and one; 0: none. */
typedef uint32_t young_place;

struct young {
    uint64_t sequence; /* of the buffer that the free slots belong to */
    uint32_t free_count;
    uint32_t left; /* acquires that have gone from the other buffer since it was active */
    uint16_t free_slots[STRAY_LANE_EVENTS];
    uint16_t slot_of_sum[YOUNG_SUMS];
    struct young_chain chains[YOUNG_CHAINS]; /* by the slot of the acquire; the latest of those with one place */
    _Alignas(16) young_place places[2][YOUNG_SETS][YOUNG_WAYS]; /* of the acquires of each buffer */
};

/* What every call works on. */
struct young_lane {
    struct young *young;
    struct stray_event *events; /* of both buffers */
    struct stray_event *active; /* of the one that takes new events */
    uint64_t sequence;          /* of that */
};

extern struct young *young_indices[SPOOL_LANES_MAX]; /* by lane number */
extern uint64_t young_outdated_times[YOUNG_OUTDATED]; /* by handle: the latest young_outdate() of any like it */
extern bool young_stopped;

struct young *young_make(const struct stray_lane *lane);

/* The index of a lane; NULL where pairs are not to be elided (--full) or there is no memory. */
static inline struct young *young_of(const struct stray_lane *lane)
{
    if (__builtin_expect(__atomic_load_n(&young_stopped, __ATOMIC_RELAXED) || lane->number >= SPOOL_LANES_MAX, 0))
        return NULL;
    struct young *young = young_indices[lane->number];
    return __builtin_expect(young != NULL, 1) ? young : young_make(lane);
}

/* ---- slots of the active buffer that elided pairs have left free ---- */

static inline bool young_has_slot(const struct young_lane *lane)
{
    return lane->young->free_count > 0 && lane->young->sequence == lane->sequence;
}

/* NULL: none. */
static inline struct stray_event *young_slot(const struct young_lane *lane)
{
    struct young *young = lane->young;
    return young_has_slot(lane) ? lane->active + young->free_slots[--young->free_count] : NULL;
}

/* Frees the slot of an acquire that is no more. Those of the other buffer are not used before it is active again. */
static inline void young_free(const struct young_lane *lane, struct stray_event *acquire)
{
    struct young *young = lane->young;
    size_t slot = (size_t)(acquire - lane->active);
    __atomic_store_n(&acquire->action, 0, __ATOMIC_RELEASE);
    if (slot >= STRAY_LANE_EVENTS) {
        young->left++;
        return;
    }
    if (young->sequence != lane->sequence) {
        young->sequence = lane->sequence;
        young->free_count = 0;
    }
    young->free_slots[young->free_count++] = (uint16_t)slot;
}

/* ---- where acquires stand ---- */

static inline uint64_t young_hash(uint64_t handle)
{
    return (handle >> 4) * 0x9e3779b97f4a7c15u;
}

static inline young_place *young_set(const struct young_lane *lane, unsigned which, uint64_t handle)
{
    return lane->young->places[which][young_hash(handle) >> 54];
}
_Static_assert(YOUNG_SETS == 1u << 10, "young_set() takes 10 bits");

/* The half of a place that is the same wherever the acquire stands. */
static inline young_place young_tag(uint64_t handle)
{
    return (young_place)(young_hash(handle) >> 22) & 0xffff0000u;
}

static inline struct stray_event *young_at(const struct young_lane *lane, young_place place)
{
    return lane->events + ((place & 0xffff) - 1);
}

static inline unsigned young_buffer_of(const struct young_lane *lane, const struct stray_event *slot)
{
    return slot - lane->events >= STRAY_LANE_EVENTS;
}

/* Remembers where the acquire of `handle` stands. Where there is no room, another is forgotten: its release will be an
 * event. */
static inline void young_remember(const struct young_lane *lane, uint64_t handle, const struct stray_event *slot)
{
    young_place *set = young_set(lane, young_buffer_of(lane, slot), handle);
    unsigned way = 0;
    while (__builtin_expect(way < YOUNG_WAYS - 1 && set[way] != 0, 0))
        way++;
    set[way] = young_tag(handle) | (young_place)(slot - lane->events + 1);
}

static inline uint64_t *young_outdated_at(uint64_t handle)
{
    return &young_outdated_times[young_hash(handle) >> 50];
}
_Static_assert(YOUNG_OUTDATED == 1u << 14, "young_outdated_at() takes 14 bits");

static inline bool young_is_acquire(const struct stray_event *event, uint64_t handle, uint8_t resource)
{
    return event->handle == handle && event->action == STRAY_OPEN && event->resource == resource;
}

/* Whether nothing that left an event of its own has ended the life of `handle` since. */
static inline bool young_in_force(const struct stray_event *acquire, uint64_t handle)
{
    return acquire->time > __atomic_load_n(young_outdated_at(handle), __ATOMIC_RELAXED);
}

/* NULL: not in this buffer, or not in force any more: the address had another owner since, and an acquire of his may follow. */
static inline young_place *young_find(const struct young_lane *lane, unsigned which, uint64_t handle, uint8_t resource)
{
    young_place *set = young_set(lane, which, handle), tag = young_tag(handle);
    for (unsigned way = 0; way < YOUNG_WAYS; way++) {
        if (((set[way] ^ tag) & 0xffff0000u) != 0 || set[way] == 0)
            continue;
        const struct stray_event *event = young_at(lane, set[way]);
        if (young_is_acquire(event, handle, resource) && young_in_force(event, handle))
            return &set[way];
    }
    return NULL;
}

/* The acquire of `handle`, taken out of the index, if it stands in the lane and is still in force; NULL: it does not. */
static inline struct stray_event *young_take(const struct young_lane *lane, uint64_t handle, uint8_t resource)
{
    unsigned active = young_buffer_of(lane, lane->active);
    young_place *place = young_find(lane, active, handle, resource);
    if (!place && !(place = young_find(lane, active ^ 1, handle, resource)))
        return NULL;
    struct stray_event *event = young_at(lane, *place);
    *place = 0;
    return event;
}

/* ---- sums ---- */

static inline uint64_t young_age(const struct stray_event *acquire, uint64_t time)
{
    uint64_t age = time > acquire->time ? time - acquire->time : 0;
    return (uint64_t)(63 - __builtin_clzll(age | 1)) << 56;
}

static inline uint16_t *young_sum_place(const struct young_lane *lane, uint32_t stack, uint64_t age)
{
    return &lane->young->slot_of_sum[(stack ^ age >> 40) * 0x9e3779b97f4a7c15u >> 55];
}
_Static_assert(YOUNG_SUMS == 1u << 9, "young_sum_place() takes 9 bits");

/* Adds the pair (acquire, release at `time`) to its sum, if there already is one, and frees the acquire's slot. False:
 * there is none yet, or none that has room for more. The sum's number is raised first: a kill between the two stores must not lose the pair. */
static inline bool young_add(const struct young_lane *lane, struct stray_event *acquire, uint64_t time)
{
    uint64_t age = young_age(acquire, time);
    struct stray_event *sum = &lane->events[*young_sum_place(lane, acquire->stack, age)];
    if (sum->action != STRAY_ELIDED || sum->stack != acquire->stack || sum->hook != acquire->hook ||
        sum->handle >> 56 != age >> 56 || sum->value >> 63)
        return false;
    sum->handle++;
    sum->value += acquire->value;
    sum->time = time;
    young_free(lane, acquire);
    return true;
}

/* The first event of a sum, for the caller to store; its place is then told by young_sum_at(). */
struct stray_event young_sum(const struct stray_event *acquire, uint64_t time);
void young_sum_at(const struct young_lane *lane, const struct stray_event *sum, const struct stray_event *slot);

/* The lane's active buffer is full. True: so much has gone from the other one that it can become active again as it
 * is; its free slots are then known. False: it is about to be written out, and what was known of it is forgotten. */
bool young_reopen(struct stray_lane *lane, unsigned other);

/* Whatever ends or changes the life of `handle` and leaves an event of its own says so, before the real call: another
 * lane's acquire from before `time` is then no longer the one that a later release belongs to. Returns the time that the
 * event gets: `time` or, where the counter was read so early that an acquire could have a later one, that. Any emitter. */
uint64_t young_outdate(uint64_t handle, uint64_t time);

/* The time of an acquire that was just made: later than that of any event by which `handle` was released before. So the
 * counter need not wait for what precedes it, which would cost as much as reading it. */
static inline uint64_t young_acquired(uint64_t handle)
{
    uint64_t time = clock_before(), released = __atomic_load_n(young_outdated_at(handle), __ATOMIC_RELAXED);
    return __builtin_expect(time > released, 1) ? time : released + 1;
}
/* Whether the acquire of `handle` stands in this lane, so that a resize at `time` may change it there and leave no event.
 * A big block that has been resized for so long that its growth may be what the report is about may not. */
bool young_may_follow(const struct stray_lane *lane, uint64_t handle, uint8_t resource, uint64_t time);
/* The acquire is about to be given `time`, that of a move. */
void young_moves(const struct young_lane *lane, const struct stray_event *acquire, uint64_t time);

/* No more sums in this process: what is released from now on must be told from what was released before (at its end), or
 * buffers are being written out while they stay in use (before an exec, which may fail). */
void young_stop(void);
/* In a forked child: all anew. */
void young_forget(void);

#endif
