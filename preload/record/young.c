/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/young.h"

#include <stddef.h>

#include "record/index.h"
#include "settings.h"
#include "sys.h"

#define HANDLES   2048u /* powers of two */
#define SUMS      512u
#define LANES_MAX 1024u

struct young {
    uint64_t sequence; /* of the buffer that the free slots belong to */
    uint16_t free_count;
    uint16_t free_slots[STRAY_LANE_EVENTS];
    uint16_t slot_of_handle[HANDLES];
    uint16_t slot_of_sum[SUMS];
};

static struct young *youngs[LANES_MAX]; /* by lane number */
static bool stopped;

struct young *young_of(struct stray_lane *lane)
{
    if (settings.full || __atomic_load_n(&stopped, __ATOMIC_RELAXED) || lane->number >= LANES_MAX)
        return NULL;
    struct young *young = youngs[lane->number];
    if (__builtin_expect(!young, 0))
        young = youngs[lane->number] = sys_memory(sizeof(*young));
    return young;
}

void young_stop(void)
{
    __atomic_store_n(&stopped, true, __ATOMIC_RELAXED);
}

void young_forget(void)
{
    stopped = false;
    for (unsigned i = 0; i < LANES_MAX; i++) {
        if (youngs[i])
            sys_munmap(youngs[i], sizeof(struct young));
        youngs[i] = NULL;
    }
}

static uint64_t sequence_of(const struct stray_lane *lane)
{
    return lane->buffer[lane->active & 1].sequence;
}

bool young_has_slot(const struct young *young, const struct stray_lane *lane)
{
    return young->free_count > 0 && young->sequence == sequence_of(lane);
}

int young_slot(struct young *young, const struct stray_lane *lane)
{
    return young_has_slot(young, lane) ? young->free_slots[--young->free_count] : -1;
}

static unsigned place_of_handle(uint64_t handle)
{
    return (unsigned)((handle >> 4) * 0x9e3779b97f4a7c15u >> 53); /* 11 bits */
}

void young_remember(struct young *young, uint64_t handle, unsigned slot)
{
    young->slot_of_handle[place_of_handle(handle)] = (uint16_t)slot;
}

struct stray_event *young_find(struct young *young, struct stray_lane *lane, uint64_t handle, uint8_t resource)
{
    unsigned slot = young->slot_of_handle[place_of_handle(handle)];
    struct stray_event *event = &lane->events[lane->active & 1][slot];
    return event->handle == handle && event->action == STRAY_OPEN && event->resource == resource ? event : NULL;
}

void young_free(struct young *young, struct stray_lane *lane, struct stray_event *acquire)
{
    if (young->sequence != sequence_of(lane)) {
        young->sequence = sequence_of(lane);
        young->free_count = 0;
    }
    __atomic_store_n(&acquire->action, 0, __ATOMIC_RELEASE);
    young->free_slots[young->free_count++] = (uint16_t)(acquire - lane->events[lane->active & 1]);
}

static uint64_t age_class(const struct stray_event *acquire, uint64_t time)
{
    uint64_t age = time > acquire->time ? time - acquire->time : 0;
    return (uint64_t)(63 - __builtin_clzll(age | 1)) << 56;
}

static unsigned place_of_sum(uint32_t stack, uint64_t age)
{
    return (unsigned)((stack ^ age >> 40) * 0x9e3779b97f4a7c15u >> 55); /* 9 bits */
}

/* The sum's number is raised first: a kill between the two stores of a pair must not lose it. */
bool young_add(struct young *young, struct stray_lane *lane, struct stray_event *acquire, uint64_t time)
{
    uint64_t age = age_class(acquire, time);
    struct stray_event *sum = &lane->events[lane->active & 1][young->slot_of_sum[place_of_sum(acquire->stack, age)]];
    if (sum->action != STRAY_ELIDED || sum->stack != acquire->stack || sum->hook != acquire->hook ||
        sum->handle >> 56 != age >> 56)
        return false;
    sum->handle++;
    sum->value += acquire->value;
    sum->time = time;
    young_free(young, lane, acquire);
    return true;
}

struct stray_event young_sum(const struct stray_event *acquire, uint64_t time)
{
    struct stray_event sum = *acquire;
    sum.time = time;
    sum.action = STRAY_ELIDED;
    sum.handle = 1 | age_class(acquire, time);
    return sum;
}

void young_sum_at(struct young *young, const struct stray_event *sum, unsigned slot)
{
    young->slot_of_sum[place_of_sum(sum->stack, sum->handle & ~(~(uint64_t)0 >> 8))] = (uint16_t)slot;
}
