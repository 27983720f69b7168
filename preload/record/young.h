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

#include "gate.h"
#include "record/clock.h"
#include "record/spool.h"
#include "stray/format.h"

#define LANE_RESERVE   32u /* slots for signal handlers that arrive when a buffer is about to be full */
#define YOUNG_SETS     1024u /* of each buffer; powers of two, all of them */
#define YOUNG_WAYS     4u
#define YOUNG_SUMS     512u
#define YOUNG_OUTDATED 16384u

#define YOUNG_CHAINS   256u
#define YOUNG_AT_ONCE  16u /* events beneath one call that may have one reading of the counter */

/* A block that moved, and whose acquire was given the time of the move. */
struct young_chain {
    uint64_t time; /* of that acquire */
    uint64_t born; /* before any move */
};

/* Where an acquire stands: 5 bits, not all 0, tell its handle from most others, 11 are its slot; 0: none. Small, for every
 * thread has thousands of them. */
typedef uint16_t young_place;

/* Of the lane of the thread that works with it. */
struct young {
    struct stray_event *events; /* of both buffers */
    struct stray_event *active; /* of the one that takes new events */
    uint64_t *used;             /* slots handed out of that */
    uint32_t which;             /* ... its number */
    uint32_t free_count;        /* ... slots that elided pairs have left free */
    uint32_t left;              /* acquires that have gone from the other buffer since it was active */
    uint32_t crowded;           /* bit of a buffer: some of its acquires have found no room in their sets */
    struct {
        uint64_t time;  /* when the counter was read last for the stack below */
        uint32_t left;  /* events that may have that time; 0: it is over */
        uint32_t stack; /* that of a call of libpq */
    } beneath;
    uint16_t free_slots[STRAY_LANE_EVENTS];
    uint16_t slot_of_sum[YOUNG_SUMS];
    struct young_chain chains[YOUNG_CHAINS];    /* by the slot of the acquire; the latest of those with one place */
    _Alignas(16) young_place places[YOUNG_SETS][2][YOUNG_WAYS]; /* of the acquires of each buffer */
};

extern uint64_t young_outdated_times[YOUNG_OUTDATED] ARCH_NEAR; /* by handle: the latest young_outdate() of any like it */

/* For a thread that has a lane and does not know its index. */
struct young *young_make(void);

/* The index of this thread's lane, which it has; NULL where pairs are not to be elided (--full) or there is no memory. */
static inline struct young *young_mine(void)
{
    if (__builtin_expect(__atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_WHOLE, 0))
        return NULL;
    return __builtin_expect(thread_self.young != NULL, 1) ? thread_self.young : young_make();
}

/* ---- slots of the active buffer ---- */

/* What the last 8 bytes of an event say. They are stored as one word, so that an event is there or is not. */
typedef uint64_t __attribute__((may_alias)) young_commit;

static inline young_commit young_commit_of(uint32_t stack, uint16_t hook, uint8_t action, uint8_t resource)
{
    return stack | (uint64_t)hook << 32 | (uint64_t)action << 48 | (uint64_t)resource << 56;
}
static inline young_commit *young_commit_at(struct stray_event *event)
{
    return (young_commit *)(void *)&event->stack;
}

static inline void young_store(struct stray_event *slot, const struct stray_event *event)
{
    slot->time = event->time;
    slot->handle = event->handle;
    slot->value = event->value;
    __atomic_store_n(young_commit_at(slot), young_commit_of(event->stack, event->hook, event->action, event->resource),
                     __ATOMIC_RELEASE);
}

static inline bool young_has_slot(const struct young *young)
{
    return young->free_count > 0;
}

/* Room is made before there is none, so that signal handlers that arrive meanwhile find some. */
static inline bool young_is_full(const struct young *young)
{
    return !young_has_slot(young) && *young->used >= STRAY_LANE_EVENTS - LANE_RESERVE;
}

/* NULL: none is left, for signal handlers have used them up. */
static inline struct stray_event *young_slot(struct young *young)
{
    if (young_has_slot(young))
        return young->active + young->free_slots[--young->free_count];
    uint64_t slot = arch_next(young->used);
    return __builtin_expect(slot < STRAY_LANE_EVENTS, 1) ? young->active + slot : NULL;
}

/* Frees the slot of an acquire that is no more. Those of the other buffer are not used before it is active again. A handler
 * may jump out of here: no slot is counted before its number is there. */
static inline void young_free(struct young *young, struct stray_event *acquire)
{
    size_t slot = (size_t)(acquire - young->active);
    __atomic_store_n(&acquire->action, 0, __ATOMIC_RELEASE);
    if (slot >= STRAY_LANE_EVENTS) {
        young->left++;
        return;
    }
    young->free_slots[young->free_count] = (uint16_t)slot;
    __atomic_signal_fence(__ATOMIC_RELEASE);
    young->free_count++;
}

/* ---- where acquires stand ---- */

static inline uint64_t young_hash(uint64_t handle)
{
    return (handle >> 4) * 0x9e3779b97f4a7c15u;
}

static inline young_place *young_set(struct young *young, unsigned which, uint64_t handle)
{
    return young->places[young_hash(handle) >> 54][which];
}
_Static_assert(YOUNG_SETS == 1u << 10, "young_set() takes 10 bits");

/* Where what finds no room there goes: neighbours are parted. */
static inline young_place *young_second_set(struct young *young, unsigned which, uint64_t handle)
{
    return young->places[young_hash(handle) >> 39 & (YOUNG_SETS - 1)][which];
}

/* What of a place is the same wherever the acquire stands. */
static inline young_place young_tag(uint64_t handle)
{
    unsigned tag = young_hash(handle) >> 49 & 31;
    return (young_place)((tag + (tag == 0)) * 2 * STRAY_LANE_EVENTS);
}
_Static_assert(2 * STRAY_LANE_EVENTS == 1u << 11, "a place has 11 bits of a slot");

/* Where there is no room in the set. If there is none in the second one either, another is forgotten: its release will be an
 * event, and such a pair has three slots until its buffer is written. */
void young_remember_elsewhere(struct young *young, uint64_t handle, young_place place);

/* Remembers where the acquire of `handle` stands. */
static inline void young_remember(struct young *young, uint64_t handle, const struct stray_event *slot)
{
    size_t number = (size_t)(slot - young->events);
    young_place *set = young_set(young, number >= STRAY_LANE_EVENTS, handle), place = (young_place)(young_tag(handle) | number);
    unsigned way = 0;
    while (__builtin_expect(way < YOUNG_WAYS && set[way] != 0, 0))
        way++;
    if (__builtin_expect(way < YOUNG_WAYS, 1))
        set[way] = place;
    else
        young_remember_elsewhere(young, handle, place);
}

static inline uint64_t *young_outdated_at(uint64_t handle)
{
    return &young_outdated_times[young_hash(handle) >> 50];
}
_Static_assert(YOUNG_OUTDATED == 1u << 14, "young_outdated_at() takes 14 bits");

static inline bool young_is_acquire(struct stray_event *event, uint64_t handle, uint8_t resource)
{
    return event->handle == handle && *young_commit_at(event) >> 48 == young_commit_of(0, 0, STRAY_OPEN, resource) >> 48;
}

/* Whether nothing that left an event of its own has ended the life of `handle` since. */
static inline bool young_in_force(const struct stray_event *acquire, uint64_t handle)
{
    return acquire->time > __atomic_load_n(young_outdated_at(handle), __ATOMIC_RELAXED);
}

/* Whether `event` is the acquire of `handle`, and in force: else the address had another owner since, and an acquire of his
 * may follow. */
static inline bool young_stands(struct stray_event *event, uint64_t handle, uint8_t resource)
{
    return young_is_acquire(event, handle, resource) && young_in_force(event, handle);
}

static inline struct stray_event *young_at(const struct young *young, young_place place)
{
    return &young->events[place % (2 * STRAY_LANE_EVENTS)];
}

/* Whether what stands at `place` may be the acquire of the handle of this tag. */
static inline bool young_fits(young_place place, young_place tag)
{
    return (place ^ tag) < (int)(2 * STRAY_LANE_EVENTS); /* larger where the tag is another, or there is none */
}

static inline young_place *young_find_in(struct young *young, young_place *set, uint64_t handle, uint8_t resource)
{
    young_place tag = young_tag(handle);
    for (unsigned way = 0; way < YOUNG_WAYS; way++)
        if (young_fits(set[way], tag) && young_stands(young_at(young, set[way]), handle, resource))
            return &set[way];
    return NULL;
}

/* NULL: not in this buffer. */
static inline young_place *young_find(struct young *young, unsigned which, uint64_t handle, uint8_t resource)
{
    young_place *place = young_find_in(young, young_set(young, which, handle), handle, resource);
    if (!place && __builtin_expect(young->crowded >> which & 1, 0))
        place = young_find_in(young, young_second_set(young, which, handle), handle, resource);
    return place;
}

/* As young_take() below, in second sets only. */
struct stray_event *young_take_elsewhere(struct young *young, uint64_t handle, uint8_t resource);

/* The first place that may be that of the acquire of `handle`, in its sets. NULL: there is none. */
static inline young_place *young_like(struct young *young, uint64_t handle)
{
    young_place tag = young_tag(handle);
    for (unsigned other = 0; other < 2; other++) {
        young_place *set = young_set(young, young->which ^ other, handle);
        for (unsigned way = 0; way < YOUNG_WAYS; way++)
            if (young_fits(set[way], tag))
                return &set[way];
    }
    return NULL;
}

/* The acquire of `handle`, taken out of the index, if it stands in the lane and is still in force; NULL: it does not. */
static inline struct stray_event *young_take(struct young *young, uint64_t handle, uint8_t resource)
{
    young_place *place = young_find(young, young->which, handle, resource);
    if (!place && !(place = young_find(young, young->which ^ 1, handle, resource)))
        return NULL;
    struct stray_event *event = young_at(young, *place);
    *place = 0;
    return event;
}

/* ---- sums ---- */

/* The number of the octave. */
static inline uint64_t young_age(const struct stray_event *acquire, uint64_t time)
{
    uint64_t age = __builtin_expect(time > acquire->time, 1) ? time - acquire->time : 0;
    return (uint64_t)(63 - __builtin_clzll(age | 1));
}

/* The age comes last: it depends on the counter, for which all waits. */
static inline uint16_t *young_sum_place(struct young *young, uint32_t stack, uint64_t age)
{
    return &young->slot_of_sum[stack * 0x9e3779b97f4a7c15u >> 55 ^ age << 3];
}
_Static_assert(YOUNG_SUMS == 1u << 9, "young_sum_place() takes 9 bits: 6 of the age lie over the first ones");

/* Adds the pair (acquire, release at `time`) to its sum, if there already is one, and frees the acquire's slot. False:
 * there is none yet, or none that has room for more. The sum's number is raised first: a kill between the two stores must not lose the pair. */
static inline bool young_add(struct young *young, struct stray_event *acquire, uint64_t time)
{
    uint64_t age = young_age(acquire, time), commit = *young_commit_at(acquire);
    struct stray_event *sum = &young->events[*young_sum_place(young, (uint32_t)commit, age)];
    bool other = *young_commit_at(sum) - commit != young_commit_of(0, 0, STRAY_ELIDED - STRAY_OPEN, 0);
    if (__builtin_expect(other || sum->handle >> 56 != age || sum->value >> 63, 0))
        return false;
    sum->handle++;
    sum->value += acquire->value;
    sum->time = time;
    young_free(young, acquire);
    return true;
}

/* The same for a pair for which there is none: begins it. False: there is no slot. */
bool young_begin_sum(struct young *young, struct stray_event *acquired, uint64_t time);

/* The active buffer of this thread's lane is full, and the other one is about to be the active one. True: so much has gone
 * from that that it can be so as it is; its free slots are then known. False: it must be written out before, and what was
 * known of it is forgotten. *ret_blocks: heap blocks in sums that were moved away to make it so. */
bool young_reopen(uint64_t *ret_blocks);

/* Whatever ends or changes the life of `handle` and leaves an event of its own says so, before the real call: another
 * lane's acquire from before `time` is then no longer the one that a later release belongs to. Returns the time that the
 * event gets: `time` or, where the counter was read so early that an acquire could have a later one, that. Any emitter. */
uint64_t young_outdate(uint64_t handle, uint64_t time);

/* The time of an acquire that was just made: later than that of any event by which `handle` was released before. So the
 * counter need not wait for what precedes it, which would cost as much as reading it. */
static inline uint64_t young_acquired_at(uint64_t time, uint64_t handle)
{
    uint64_t released = __atomic_load_n(young_outdated_at(handle), __ATOMIC_RELAXED);
    return __builtin_expect(time > released, 1) ? time : released + 1;
}
static inline uint64_t young_acquired(uint64_t handle)
{
    return young_acquired_at(clock_before(), handle);
}

/* ---- times of what libpq acquires, and the libraries that it brings ---- */

/* They come by the thousand in a millisecond, and to read the counter is half of what one costs. So some have the time of the one
 * before, which is earlier than theirs, but never as early as a release that another may have told since: see below. The clock is the counter. */
static inline uint64_t young_read_beneath(struct young *young, uint32_t stack)
{
    young->beneath.time = arch_ticks_before();
    young->beneath.left = YOUNG_AT_ONCE - 1;
    young->beneath.stack = stack;
    return young->beneath.time;
}
static inline uint64_t young_time_beneath(struct young *young, uint32_t stack)
{
    if (__builtin_expect(young->beneath.left == 0 || young->beneath.stack != stack, 0))
        return young_read_beneath(young, stack);
    young->beneath.left--;
    return young->beneath.time;
}

/* Of a block that was just acquired with `stack`, that of a call of libpq that is under way. Whatever ended the life of `handle` before,
 * and left an event, ended it earlier. */
static inline uint64_t young_acquired_beneath(struct young *young, uint64_t handle, uint32_t stack)
{
    uint64_t time = young_time_beneath(young, stack), released = __atomic_load_n(young_outdated_at(handle), __ATOMIC_RELAXED);
    return __builtin_expect(time > released, 1) ? time : young_acquired_at(young_read_beneath(young, stack), handle);
}

/* Of the end of a pair that leaves no event, whose acquire has `stack`: no order rests on it, and its age is told by the octave. */
static inline uint64_t young_ended(struct young *young, uint32_t stack)
{
    bool beneath = thread_self.libpq_depth != 0 && young->beneath.stack == stack;
    return __builtin_expect(beneath, 0) ? young_time_beneath(young, stack) : arch_ticks_before();
}

/* Time is about to pass: the thread waits, or begins a call of libpq. In a forked child the index is its parent's until the child's
 * trace begins. */
static inline void young_time_passes(void)
{
    struct young *young = thread_self.young;
    if (young && __atomic_load_n(gate_word, __ATOMIC_RELAXED) & GATE_TRACED)
        young->beneath.left = 0;
}
/* Whether the acquire of `handle` stands in the lane of this thread, which has one, so that a resize at `time` may change it there
 * and leave no event. A big block that has been resized for so long that its growth may be what the report is about may not. */
bool young_may_follow(uint64_t handle, uint8_t resource, uint64_t time);
/* The acquire is about to be given `time`, that of a move. */
void young_moves(struct young *young, const struct stray_event *acquire, uint64_t time);

/* No more sums in this process: what is released from now on must be told from what was released before (at its end), or
 * buffers are being written out while they stay in use (before an exec, which may fail). */
void young_stop(void);
/* Before another trace of this process: the lanes, which are where they were, are empty. */
void young_renew(void);
/* In a forked child: all anew. */
void young_forget(void);

#endif
