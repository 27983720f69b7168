/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/parts.h"

#include <math.h>
#include <stddef.h>

#define RETAINED_SHARE 0.3
#define RETAINED_MIN   8388608.0
#define RETAINED_MUCH  (INT64_C(64) << 20)
#define NORMAL_95      1.96

/* What the allocator's resident memory consists of, at one moment. */
struct pool {
    uint64_t live, overhead, free;
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Blocks that were never written to are not resident: none of these can be more than there is. */
static struct pool pool_of(const struct resident *at, uint64_t resident)
{
    struct pool pool = {.live = smaller(at->live, resident)};
    pool.overhead = smaller(at->held > at->live ? at->held - at->live : 0, resident - pool.live);
    pool.free = resident - pool.live - pool.overhead;
    return pool;
}

static int64_t difference(uint64_t last, uint64_t first)
{
    return (int64_t)(last - first);
}

/* An allocator of the program's own maps its memory by calls that are hooked. */
static void split_heap(const struct parts_figures *figures, struct parts *parts)
{
    bool own = figures->last.heap_mapped;
    const struct resident *first = &figures->first, *last = &figures->last;
    struct pool before = pool_of(first, first->allocator + (own ? figures->mapped_first : 0));
    struct pool after = pool_of(last, last->allocator + (own ? figures->mapped_last : 0));
    int64_t freed = difference(last->peak_held, last->held);
    parts->live_heap = difference(after.live, before.live);
    parts->overhead = difference(after.overhead, before.overhead);
    parts->retained = difference(after.free, before.free);
    if (parts->retained > freed) /* it cannot keep what it never gave out */
        parts->retained = freed;
    if (!own)
        parts->mapped = difference(figures->mapped_last, figures->mapped_first);
}

struct parts parts_of(const struct parts_figures *figures)
{
    const struct resident *first = &figures->first, *last = &figures->last;
    struct parts parts = {
        .mapped = difference(figures->mapped_last, figures->mapped_first),
        .arenas = difference(figures->arenas_last, figures->arenas_first),
        .stacks = difference(last->stacks, first->stacks),
        .files = difference(last->files, first->files),
        .tracer = difference(last->tracer, first->tracer),
        .uncertain = parts_uncertain(first->live_variance, last->live_variance),
    };
    if (figures->heap_known) {
        parts.mapped = 0;
        split_heap(figures, &parts);
    }
    int64_t told[] = {parts.live_heap, parts.overhead, parts.retained, parts.arenas,
                      parts.mapped,    parts.stacks,   parts.files,    parts.tracer};
    uint64_t rest = (uint64_t)figures->growth; /* figures of a damaged trace may wrap around */
    for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
        rest -= (uint64_t)told[i];
    parts.unexplained = (int64_t)rest;
    return parts;
}

struct slack parts_slack(const struct resident *first, const struct resident *last, int64_t arenas)
{
    int64_t taken = difference(last->small, first->small);
    taken = taken > 0 ? taken : 0; /* no more than the arenas */
    return (struct slack){.bytes = arenas > taken ? (int64_t)((uint64_t)arenas - (uint64_t)taken) : 0,
                          .uncertain = parts_uncertain(first->small_variance, last->small_variance)};
}

struct parts parts_at(const struct resident *at, bool heap_known)
{
    uint64_t told = at->allocator + at->stacks + at->files + at->tracer + at->other;
    struct parts_figures figures = {.growth = (int64_t)at->total,
                                    .last = *at,
                                    .mapped_last = at->total > told ? at->total - told : 0,
                                    .heap_known = heap_known};
    return parts_of(&figures);
}

double parts_uncertain(double first_variance, double last_variance)
{
    return NORMAL_95 * sqrt(fmax(0, first_variance) + fmax(0, last_variance));
}

/* Most of it was free already when memory was told the time before: not just freed, to be used again or left at the end. */
static bool persists(const struct parts *parts, const struct residents *residents)
{
    const struct resident *before = &residents->before;
    return residents->moments > 2 && 2 * difference(before->peak_held, before->held) >= parts->retained;
}

enum severity parts_retained(const struct parts *parts, int64_t growth, const struct residents *residents)
{
    double sure = (double)parts->retained - parts->uncertain;
    if (sure < RETAINED_MIN || sure < RETAINED_SHARE * (double)growth)
        return SEVERITY_NONE;
    return sure >= (double)RETAINED_MUCH && persists(parts, residents) ? SEVERITY_WARNING : SEVERITY_NOTE;
}
