/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record/young.h"

#include <stddef.h>

#include "record/spool.h"
#include "settings.h"
#include "sys.h"

#define HANDLES   2048u /* powers of two */
#define SUMS      512u
#define OUTDATED  16384u

struct young {
    uint64_t sequence; /* of the buffer that the free slots belong to */
    uint16_t free_count;
    uint16_t free_slots[STRAY_LANE_EVENTS];
    uint16_t slot_of_handle[HANDLES];
    uint16_t slot_of_sum[SUMS];
};

static struct young *youngs[SPOOL_LANES_MAX]; /* by lane number */
static uint64_t outdated[OUTDATED];     /* by handle: the latest young_outdate() of any like it */
static bool stopped;

struct young *young_of(struct stray_lane *lane)
{
    if (settings.full || __atomic_load_n(&stopped, __ATOMIC_RELAXED) || lane->number >= SPOOL_LANES_MAX)
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
    for (unsigned i = 0; i < SPOOL_LANES_MAX; i++) {
        if (youngs[i])
            sys_munmap(youngs[i], sizeof(struct young));
        youngs[i] = NULL;
    }
}

bool young_has_slot(const struct young_buffer *buffer)
{
    return buffer->young->free_count > 0 && buffer->young->sequence == buffer->sequence;
}

struct stray_event *young_slot(const struct young_buffer *buffer)
{
    struct young *young = buffer->young;
    return young_has_slot(buffer) ? buffer->events + young->free_slots[--young->free_count] : NULL;
}

static uint16_t index_of(const struct young_buffer *buffer, const struct stray_event *slot)
{
    return (uint16_t)(slot - buffer->events);
}

static unsigned place_of_handle(uint64_t handle)
{
    return (unsigned)((handle >> 4) * 0x9e3779b97f4a7c15u >> 53); /* 11 bits */
}

static uint64_t *outdated_at(uint64_t handle)
{
    return &outdated[(handle >> 4) * 0x9e3779b97f4a7c15u >> 50]; /* 14 bits */
}

void young_outdate(uint64_t handle, uint64_t time)
{
    uint64_t *at = outdated_at(handle), have = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (have < time && !__atomic_compare_exchange_n(at, &have, time, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

void young_remember(const struct young_buffer *buffer, uint64_t handle, const struct stray_event *slot)
{
    buffer->young->slot_of_handle[place_of_handle(handle)] = index_of(buffer, slot);
}

struct stray_event *young_find(const struct young_buffer *buffer, uint64_t handle, uint8_t resource)
{
    struct stray_event *event = &buffer->events[buffer->young->slot_of_handle[place_of_handle(handle)]];
    if (event->handle != handle || event->action != STRAY_OPEN || event->resource != resource)
        return NULL;
    return event->time > __atomic_load_n(outdated_at(handle), __ATOMIC_RELAXED) ? event : NULL;
}

void young_free(const struct young_buffer *buffer, struct stray_event *acquire)
{
    struct young *young = buffer->young;
    if (young->sequence != buffer->sequence) {
        young->sequence = buffer->sequence;
        young->free_count = 0;
    }
    __atomic_store_n(&acquire->action, 0, __ATOMIC_RELEASE);
    young->free_slots[young->free_count++] = index_of(buffer, acquire);
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
bool young_add(const struct young_buffer *buffer, struct stray_event *acquire, uint64_t time)
{
    uint64_t age = age_class(acquire, time);
    struct stray_event *sum = &buffer->events[buffer->young->slot_of_sum[place_of_sum(acquire->stack, age)]];
    if (sum->action != STRAY_ELIDED || sum->stack != acquire->stack || sum->hook != acquire->hook ||
        sum->handle >> 56 != age >> 56)
        return false;
    sum->handle++;
    sum->value += acquire->value;
    sum->time = time;
    young_free(buffer, acquire);
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

void young_sum_at(const struct young_buffer *buffer, const struct stray_event *sum, const struct stray_event *slot)
{
    buffer->young->slot_of_sum[place_of_sum(sum->stack, sum->handle & ~(~(uint64_t)0 >> 8))] = index_of(buffer, slot);
}
