/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/young.h"

#include "record/sums.h"
#include "settings.h"
#include "sys.h"

#define REOPEN (STRAY_LANE_EVENTS / 4) /* free slots that make it worth while */
#define FREED  (STRAY_LANE_EVENTS / 2) /* by moving sums away, at a time */

struct young *young_indices[SPOOL_LANES_MAX];
uint64_t young_outdated_times[YOUNG_OUTDATED];
bool young_stopped;

struct young *young_make(const struct stray_lane *lane)
{
    if (settings.full)
        return NULL;
    return young_indices[lane->number] = sys_memory(sizeof(struct young));
}

void young_stop(void)
{
    __atomic_store_n(&young_stopped, true, __ATOMIC_RELAXED);
}

void young_forget(void)
{
    young_stopped = false;
    for (unsigned i = 0; i < SPOOL_LANES_MAX; i++) {
        if (young_indices[i])
            sys_munmap(young_indices[i], sizeof(struct young));
        young_indices[i] = NULL;
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

bool young_has(const struct stray_lane *lane, uint64_t handle, uint8_t resource)
{
    struct young_lane young = {.young = young_of(lane), .events = (struct stray_event *)(uintptr_t)lane->events[0]};
    return young.young && (young_find(&young, 0, handle, resource) || young_find(&young, 1, handle, resource));
}

static void find_free(struct young *young, const struct stray_event *events)
{
    young->free_count = 0;
    for (unsigned slot = STRAY_LANE_EVENTS - LANE_RESERVE; slot-- > 0;)
        if (events[slot].action == 0)
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

bool young_reopen(struct stray_lane *lane, unsigned other)
{
    struct young *young = young_of(lane);
    if (!young)
        return false;
    if (young->left < REOPEN)
        young->left += sums_take(lane->events[other], FREED);
    bool reopened = young->left >= REOPEN;
    young->left = 0;
    if (!reopened) {
        __builtin_memset(young->places[other], 0, sizeof(young->places[other]));
        return false;
    }
    young->sequence = lane->buffer[other].sequence;
    find_free(young, lane->events[other]);
    lane->buffer[other].used = reserve_from(lane->events[other]);
    return true;
}

struct stray_event young_sum(const struct stray_event *acquire, uint64_t time)
{
    struct stray_event sum = *acquire;
    sum.time = time;
    sum.action = STRAY_ELIDED;
    sum.handle = 1 | young_age(acquire, time);
    return sum;
}

void young_sum_at(const struct young_lane *lane, const struct stray_event *sum, const struct stray_event *slot)
{
    *young_sum_place(lane, sum->stack, sum->handle & ~(~(uint64_t)0 >> 8)) = (uint16_t)(slot - lane->events);
}
