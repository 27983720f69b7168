/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/foresight.h"

#include "lives/internal.h"

/* How many events ahead each step is made: what one fetches is there when the next one looks at it. */
#define BLOCK_AHEAD  24
#define SITE_AHEAD   16
#define GROWTH_AHEAD 8
#define LINE         64

/* With fewer, all of them are in the caches anyway. */
#define MANY_BLOCKS 16384
#define MANY_SITES  1024

static bool is_block(const struct stray_event *event)
{
    return event->resource == STRAY_HEAP || event->resource == STRAY_PYOBJECT || event->resource == STRAY_PGRESULT;
}

static void fetch(const void *address, size_t size)
{
    for (size_t at = 0; at < size; at += LINE)
        __builtin_prefetch((const char *)address + at, 1);
}

static bool is_birth(const struct stray_event *event)
{
    return event->action == STRAY_OPEN || event->action == STRAY_ELIDED;
}

static void expect_block(const struct foresight *foresight, size_t index)
{
    const struct stray_event *event = &foresight->batch[index].event;
    if (!is_block(event))
        return;
    blocks_expect(&foresight->lives->blocks[event->resource], event->handle);
    if (is_birth(event) && event->stack < foresight->lives->node_site_count)
        __builtin_prefetch(&foresight->lives->node_sites[event->stack]);
}

static const struct expected unknown = {LIVES_NONE, LIVES_NONE};

/* A block that is not born by this very event. */
static struct expected expect_known(const struct lives *lives, const struct stray_event *event)
{
    const struct block *block = blocks_find(&lives->blocks[event->resource], event->handle);
    if (!block)
        return unknown;
    __builtin_prefetch(marks_at(&lives->marks, block->mark));
    return (struct expected){block->site, block->mark};
}

static struct expected expect_event(const struct lives *lives, const struct stray_event *event)
{
    if (!is_block(event))
        return unknown;
    if (!is_birth(event))
        return expect_known(lives, event);
    if (event->resource != STRAY_HEAP || event->stack >= lives->node_site_count)
        return unknown;
    return (struct expected){lives->node_sites[event->stack] - 1, LIVES_NONE}; /* LIVES_NONE where there is none yet */
}

static void expect_site(struct foresight *foresight, size_t index)
{
    const struct lives *lives = foresight->lives;
    struct expected expected = expect_event(lives, &foresight->batch[index].event);
    foresight->expected[index] = expected;
    if (expected.site != LIVES_NONE)
        fetch(&lives->sites[expected.site], offsetof(struct site, first));
}

static void expect_growth(const struct foresight *foresight, size_t index)
{
    const struct lives *lives = foresight->lives;
    const struct expected *expected = &foresight->expected[index];
    const struct growth *growth = expected->site == LIVES_NONE ? NULL : lives->sites[expected->site].growth;
    if (!growth)
        return;
    fetch(growth, 1);
    if (expected->mark != LIVES_NONE)
        fetch(growth_released(lives, growth, expected->mark, foresight->batch[index].event.time), 1);
}

bool foresight_pays(const struct lives *lives)
{
    return lives->site_count >= MANY_SITES || lives->blocks[STRAY_HEAP].count >= MANY_BLOCKS ||
           lives->blocks[STRAY_PYOBJECT].count >= MANY_BLOCKS;
}

void foresight_begin(struct foresight *foresight, const struct lives *lives, const struct merged *batch, size_t count)
{
    foresight->lives = lives;
    foresight->batch = batch;
    foresight->count = count;
    for (size_t i = 0; i < count && i < BLOCK_AHEAD; i++)
        expect_block(foresight, i);
    for (size_t i = 0; i < count && i < SITE_AHEAD; i++)
        expect_site(foresight, i);
    for (size_t i = 0; i < count && i < GROWTH_AHEAD; i++)
        expect_growth(foresight, i);
}

void foresight_at(struct foresight *foresight, size_t index)
{
    if (index + BLOCK_AHEAD < foresight->count)
        expect_block(foresight, index + BLOCK_AHEAD);
    if (index + SITE_AHEAD < foresight->count)
        expect_site(foresight, index + SITE_AHEAD);
    if (index + GROWTH_AHEAD < foresight->count)
        expect_growth(foresight, index + GROWTH_AHEAD);
}
