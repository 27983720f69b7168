/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/young.h"

#include "record/sums.h"
#include "settings.h"
#include "sys.h"

#define REOPEN (STRAY_LANE_EVENTS / 4) /* free slots that make it worth while */
#define FREED  (STRAY_LANE_EVENTS / 2) /* by moving sums away, at a time */

#define CONTAINER       4096u /* bytes from which on a block's growth may matter */
#define CONTAINER_SHARE 256u  /* ... and the share of the process's time, */
#define CONTAINER_LEAST 1000u /* ... and of a second, for which it must have lived: buffers of a request do not */

static struct young *indices[SPOOL_LANES_MAX]; /* by lane number: they outlive the threads */
uint64_t young_outdated_times[YOUNG_OUTDATED];
static uint64_t began; /* the time at which the first index was made */

static void activate(struct young *young, struct stray_lane *lane, unsigned which)
{
    young->which = which;
    young->active = lane->events[which];
    young->used = &lane->buffer[which].used;
}

struct young *young_make(void)
{
    struct stray_lane *lane = thread_self.lane;
    if (settings.full || lane->number >= SPOOL_LANES_MAX)
        return NULL;
    if (began == 0)
        began = clock_before();
    if (!indices[lane->number])
        indices[lane->number] = sys_memory(sizeof(struct young));
    struct young *young = indices[lane->number];
    if (young) {
        young->events = lane->events[0];
        activate(young, lane, lane->active & 1);
        young->beneath.left = 0; /* the lane may have had another owner, whose call had the same stack */
    }
    return thread_self.young = young;
}

void young_stop(void)
{
    __atomic_fetch_or(gate_word, GATE_WHOLE, __ATOMIC_RELAXED);
}

/* Whoever still looks at what it was finds an empty index. */
void young_renew(void)
{
    began = 0;
    for (unsigned i = 0; i < SPOOL_LANES_MAX; i++)
        if (indices[i]) {
            sys_madvise(indices[i], sizeof(struct young), MADV_DONTNEED);
            indices[i]->events = spool_lane(i)->events[0];
            activate(indices[i], spool_lane(i), 0);
        }
}

void young_forget(void)
{
    began = 0;
    for (unsigned i = 0; i < SPOOL_LANES_MAX; i++) {
        if (indices[i])
            sys_munmap(indices[i], sizeof(struct young));
        indices[i] = NULL;
    }
}

/* An acquire may have a time one later than what it finds here; its release comes after that. The same time again is that
 * of the same event. */
uint64_t young_outdate(uint64_t handle, uint64_t time)
{
    uint64_t *at = young_outdated_at(handle), have = __atomic_load_n(at, __ATOMIC_RELAXED);
    do
        time = time > have + 1 || time == have ? time : have + 2;
    while (!__atomic_compare_exchange_n(at, &have, time, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return time;
}

static struct young_chain *chain_of(struct young *young, const struct stray_event *acquire)
{
    return &young->chains[(size_t)(acquire - young->events) % YOUNG_CHAINS];
}

static uint64_t born(struct young *young, const struct stray_event *acquire)
{
    const struct young_chain *chain = chain_of(young, acquire);
    return chain->time == acquire->time ? chain->born : acquire->time;
}

void young_moves(struct young *young, const struct stray_event *acquire, uint64_t time)
{
    *chain_of(young, acquire) = (struct young_chain){time, born(young, acquire)};
}

static bool may_be_container(struct young *young, const struct stray_event *acquire, uint64_t time)
{
    uint64_t birth = born(young, acquire), age = time > birth ? time - birth : 0;
    return acquire->value >= CONTAINER && age >= clock_ticks_per_second / CONTAINER_LEAST &&
           age >= (time - began) / CONTAINER_SHARE;
}

bool young_may_follow(uint64_t handle, uint8_t resource, uint64_t time)
{
    struct young *young = young_mine();
    if (!young)
        return false;
    const young_place *place = young_find(young, 0, handle, resource);
    if (!place && !(place = young_find(young, 1, handle, resource)))
        return false;
    return !may_be_container(young, young_at(young, *place), time);
}

void young_remember_elsewhere(struct young *young, uint64_t handle, young_place place)
{
    unsigned which = place % (2 * STRAY_LANE_EVENTS) >= STRAY_LANE_EVENTS, way = 0;
    young_place *set = young_second_set(young, which, handle);
    while (way < YOUNG_WAYS - 1 && set[way] != 0)
        way++;
    young->crowded |= 1u << which;
    set[way] = place;
}

struct stray_event *young_take_elsewhere(struct young *young, uint64_t handle, uint8_t resource)
{
    young_place *place = NULL;
    for (unsigned which = 0; which < 2 && !place; which++)
        if (young->crowded >> which & 1)
            place = young_find_in(young, young_second_set(young, which, handle), handle, resource);
    if (!place)
        return NULL;
    struct stray_event *event = young_at(young, *place);
    *place = 0;
    return event;
}

static void find_free(struct young *young)
{
    young->free_count = 0;
    for (unsigned slot = STRAY_LANE_EVENTS - LANE_RESERVE; slot-- > 0;)
        if (young->active[slot].action == 0)
            young->free_slots[young->free_count++] = (uint16_t)slot;
}

/* Where what handlers have used may be handed out again. */
static uint64_t reserve_from(const struct stray_event *events)
{
    unsigned end = STRAY_LANE_EVENTS;
    while (end > STRAY_LANE_EVENTS - LANE_RESERVE && events[end - 1].action == 0)
        end--;
    return end;
}

static void forget_places(struct young *young, unsigned which)
{
    for (unsigned set = 0; set < YOUNG_SETS; set++)
        __builtin_memset(young->places[set][which], 0, sizeof(young->places[set][which]));
    young->crowded &= ~(1u << which);
}

bool young_reopen(uint64_t *ret_blocks)
{
    struct young *young = young_mine();
    *ret_blocks = 0;
    if (!young)
        return false;
    if (young->left < REOPEN)
        young->left += sums_take(young->events + (young->which ^ 1) * STRAY_LANE_EVENTS, FREED, ret_blocks);
    bool reopened = young->left >= REOPEN;
    young->left = 0;
    activate(young, thread_self.lane, young->which ^ 1);
    if (reopened) {
        find_free(young);
        *young->used = reserve_from(young->active);
    } else {
        young->free_count = 0;
        forget_places(young, young->which);
    }
    return reopened;
}

bool young_begin_sum(struct young *young, struct stray_event *acquired, uint64_t time)
{
    uint64_t age = young_age(acquired, time);
    struct stray_event sum = *acquired, *slot = young_slot(young);
    if (!slot)
        return false;
    sum.time = time;
    sum.handle = 1 | age << 56;
    sum.action = STRAY_ELIDED;
    young_store(slot, &sum);
    *young_sum_place(young, sum.stack, age) = (uint16_t)(slot - young->events);
    young_free(young, acquired);
    return true;
}
