/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fetches what the next events of a batch will need before their turn comes: a heap of many blocks and sites does not fit
 * the processor's nearer caches, and each event touches a block and its site, one found by the other.
 * It changes nothing but the speed. Not thread safe.
 *
 * All of it is inlined: a compiler takes a function that does nothing but fetch for one that does nothing, and drops the call.
 */
#ifndef STRAY_LIVES_FORESIGHT_H
#define STRAY_LIVES_FORESIGHT_H

#include "lives/internal.h"
#include "read/merge.h"

/* How many events ahead each step is made: what one fetches is there when the next one looks at it. */
#define BLOCK_AHEAD 24
#define SITE_AHEAD  12

#define FORESEEN (UINT64_C(1) << STRAY_HEAP | UINT64_C(1) << STRAY_PYOBJECT | UINT64_C(1) << STRAY_PGRESULT)

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Whether there is so much that looking ahead saves more time than it takes. */
bool foresight_pays(const struct lives *lives);

static ALWAYS_INLINE bool is_foreseen(const struct stray_event *event)
{
    return event->resource < 64 && (FORESEEN >> event->resource & 1);
}

static ALWAYS_INLINE bool is_birth(const struct stray_event *event)
{
    return event->action == STRAY_OPEN || event->action == STRAY_ELIDED;
}

static ALWAYS_INLINE void expect_block(const struct lives *lives, const struct stray_event *event)
{
    if (!is_foreseen(event))
        return;
    const struct blocks *blocks = &lives->blocks[event->resource];
    if (blocks->count > 0) {
        const struct block *home = blocks_home(blocks, event->handle);
        __builtin_prefetch(home, 1);
        __builtin_prefetch(home + 1, 1);
    }
    if (is_birth(event) && event->stack < lives->node_site_count)
        __builtin_prefetch(&lives->node_sites[event->stack]);
}

/* Acquires touch a site's second line as well. */
static ALWAYS_INLINE void expect_birth(const struct lives *lives, const struct stray_event *event)
{
    if (event->resource != STRAY_HEAP || event->stack >= lives->node_site_count || lives->node_sites[event->stack] == 0)
        return;
    const char *site = (const char *)&lives->sites[lives->node_sites[event->stack] - 1];
    __builtin_prefetch(site, 1);
    __builtin_prefetch(site + SITE_LINE, 1);
}

/* A block that is known by now: one may be born before its release comes. */
static ALWAYS_INLINE void expect_site(const struct lives *lives, const struct stray_event *event)
{
    if (!is_foreseen(event))
        return;
    const struct blocks *blocks = &lives->blocks[event->resource];
    if (is_birth(event)) {
        expect_birth(lives, event);
    } else if (blocks->count > 0) {
        const struct block *block = blocks_slot(blocks, event->handle);
        if (block->handle == 0)
            return;
        __builtin_prefetch(&lives->sites[block->site], 1);
        __builtin_prefetch(marks_at(&lives->marks, block->mark));
    }
}

static ALWAYS_INLINE void foresight_begin(const struct lives *lives, const struct merged *batch, size_t count)
{
    for (size_t i = 0; i < count && i < BLOCK_AHEAD; i++)
        expect_block(lives, &batch[i].event);
    for (size_t i = 0; i < count && i < SITE_AHEAD; i++)
        expect_site(lives, &batch[i].event);
}

/* To be called before the event at `index` is taken in, for each in turn. */
static ALWAYS_INLINE void foresight_at(const struct lives *lives, const struct merged *batch, size_t count, size_t index)
{
    if (index + BLOCK_AHEAD < count)
        expect_block(lives, &batch[index + BLOCK_AHEAD].event);
    if (index + SITE_AHEAD < count)
        expect_site(lives, &batch[index + SITE_AHEAD].event);
}

#endif
