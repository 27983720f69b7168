/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is still open at Tc, spread over the axes: the cohorts that the verdicts on heap sites look at. */
#include <math.h>

#include "lives/counting.h"
#include "lives/releases.h"

#define ENOUGH_WORK    30 /* fewer requests (or statements) are no axis */
#define WARM_UP        0.1
#define LARGEST_REUSED 208 /* a tuple of 20 with its header, and a little */
#define SMALLEST_TEXT  49
#define PATIENCE_SECONDS 0.5 /* within which whoever looks after children looks again */
#define PATIENCE_SHARE   0.1 /* ... of a short run */

void growth_elided(const struct lives *lives, struct site *site, unsigned octave, uint64_t count)
{
    uint64_t middle = (UINT64_C(1) << octave) + (octave > 0 ? UINT64_C(1) << (octave - 1) : 0);
    released_add(&site->growth->released[bucket_of_ticks(&lives->ages, middle)], count);
}

static enum axis work_axis(const struct lives *lives)
{
    if (lives->now.at[AXIS_REQUESTS] >= ENOUGH_WORK)
        return AXIS_REQUESTS;
    if (lives->now.at[AXIS_STATEMENTS] >= ENOUGH_WORK)
        return AXIS_STATEMENTS;
    /* where no heap is recorded, mappings alone are no measure */
    return lives->now.at[AXIS_ALLOCATIONS] > lives->books[STRAY_MMAP].opened ? AXIS_ALLOCATIONS : AXIS_TIME;
}

double lives_work(const struct lives *lives, uint32_t mark)
{
    return (double)marks_at(&lives->marks, mark)->at[lives->axis];
}

double lives_work_by(const struct lives *lives, uint32_t mark)
{
    const struct mark *after = marks_after(&lives->marks, mark);
    return (double)(after ? after : &lives->at_tc)->at[lives->axis];
}

double lives_growth_from(const struct lives *lives, const struct site *site)
{
    double warm = lives->axis <= AXIS_STATEMENTS ? WARM_UP * (double)lives->at_tc.at[lives->axis] : 0;
    return fmax(warm, lives_work(lives, site->first_mark));
}

/* Somewhere between 0 and 1, even for neighbours, and the same for the same block. */
static double somewhere(uint64_t handle)
{
    return (double)(handle * UINT64_C(0x9e3779b97f4a7c15) >> 11) * 0x1p-53;
}

/* How much work was done when a block was born: that of hundreds of blocks lies somewhere between its mark and the next. */
static double born_at(const struct lives *lives, const struct block *block)
{
    double from = lives_work(lives, block->mark);
    return from + (lives_work_by(lives, block->mark) - from) * somewhere(block->handle);
}

/* Counts a place on the axis in the window that it lies in; not at all before the first. */
static void sort_in(const struct lives *lives, enum axis axis, double from, double at, uint32_t *windows)
{
    double to = (double)lives->at_tc.at[axis];
    if (at < from)
        return;
    double place = to > from ? (at - from) / (to - from) * LIVES_WINDOWS : 0;
    windows[place < LIVES_WINDOWS ? (unsigned)place : LIVES_WINDOWS - 1]++;
}

/* Whoever looks after children now and then, as pools do, may have been about to wait for this one when the process was killed,
 * or left. A process that ends by itself has had its time. */
static bool may_be_waited_for(const struct lives *lives, const struct block *block)
{
    if (lives->voluntary)
        return false;
    double run = lives->source.span(lives->source.data, lives->tc - lives->first_time);
    double since = lives->tc > block->ended ? lives->source.span(lives->source.data, lives->tc - block->ended) : 0;
    return since < fmin(PATIENCE_SECONDS, PATIENCE_SHARE * run);
}

/* Threads and children that had ended by then, and were not joined or waited for. */
static void note_ended(const struct lives *lives, struct site *site, const struct block *block)
{
    if ((site->resource != STRAY_THREAD && site->resource != STRAY_CHILD) || !block->ended)
        return;
    if (site->resource == STRAY_CHILD && may_be_waited_for(lives, block))
        return;
    site->ended++;
    site->overtaken += block->ended < site->last;
    site->in_turn += site->waited > 0 && block->mark + 1 >= site->waited;
}

/* A thread that has gone on working since the last one was made at the place, and for most of its life: it is in use. One that is
 * forgotten is silent as soon as it has nothing more to do. */
static bool is_in_use(const struct lives *lives, const struct site *site, const struct block *block)
{
    if (site->resource != STRAY_THREAD || block->ended)
        return false;
    uint64_t birth = marks_at(&lives->marks, block->mark)->at[AXIS_TIME];
    uint64_t last = activity_last(&lives->activity, (uint32_t)block->handle);
    return last >= site->last && last > birth && lives->tc - last < (lives->tc - birth) / 2;
}

/* CPython keeps small tuples, lists, dictionaries, frames and floats that die for reuse, without telling its allocator: who
 * takes one and keeps it holds a block that another line acquired. The largest is a tuple of 20, and all are multiples of 8;
 * texts seldom are. Integers are not put aside, but small ones say little: they stand for what refers to them. */
static bool is_for_reuse(uint64_t size)
{
    return size <= LARGEST_REUSED && (size % 8 == 0 || size < SMALLEST_TEXT);
}

static void note(struct lives *lives, const struct block *block)
{
    struct site *site = &lives->sites[block->site];
    const struct mark *birth = marks_at(&lives->marks, block->mark);
    site->alive++;
    site->alive_bytes += bytes_of(lives, site->resource, block->size);
    if (site->resource == STRAY_PYOBJECT && !is_for_reuse(block->size & UINT32_MAX))
        site->own_bytes += bytes_of(lives, site->resource, block->size);
    if (is_weighed(lives, site->resource)) {
        struct tally tally = tally_of_block(lives, site->resource, block->size);
        tally_join(&site->at_end, &tally);
    }
    site->warm += (double)birth->at[lives->axis] <= WARM_UP * (double)lives->at_tc.at[lives->axis];
    note_ended(lives, site, block);
    site->in_use += is_in_use(lives, site, block);
    if (!site->growth)
        return;
    double start = (double)marks_at(&lives->marks, site->first_mark)->at[AXIS_TIME];
    sort_in(lives, lives->axis, lives_growth_from(lives, site), born_at(lives, block), site->growth->by_work);
    sort_in(lives, AXIS_TIME, start, (double)birth->at[AXIS_TIME], site->growth->by_time);
    site->growth->surviving[age_bucket(lives, block->mark, lives->tc)]++;
    windows_kept(&site->growth->windows, block->mark);
}

/* The figures of a site that are those of Tc. */
static void site_at_tc(struct lives *lives, struct site *site)
{
    site->opened_by_tc = site->opened;
    if (!site->growth)
        return;
    run_ends(site);
    windows_advance(&site->growth->windows, &site->window, lives->marks.current, site->open, site->bytes_open);
    windows_settle(&site->growth->windows, &site->window);
    site->window.until = UINT32_MAX; /* there will be no other */
}

int survivors_note(struct lives *lives)
{
    lives->now.at[AXIS_TIME] = lives->tc;
    lives->now.at[AXIS_ALLOCATIONS] += marks_settle(&lives->marks, AXIS_ALLOCATIONS);
    lives->at_tc = lives->now;
    lives->axis = work_axis(lives);
    for (size_t i = 0; i < lives->site_count; i++)
        site_at_tc(lives, &lives->sites[i]);
    for (unsigned resource = 0; resource < STRAY_USER_END; resource++) {
        const struct blocks *blocks = &lives->blocks[resource];
        for (size_t i = 0; i < blocks->capacity; i++) {
            if (blocks->slots[i].handle)
                note(lives, &blocks->slots[i]);
        }
    }
    for (size_t i = 0; i < lives->moving_count; i++) {
        if (lives->moving[i].block.handle)
            note(lives, &lives->moving[i].block);
    }
    uint64_t number = 0;
    for (const struct mapping *mapping = lives->mappings.all; mapping; mapping = mapping->next)
        note(lives, &(struct block){.handle = ++number, .size = mapping->bytes, .site = mapping->site, .mark = mapping->mark});
    return 0;
}

void survivors_left(struct lives *lives)
{
    const struct blocks *blocks = &lives->blocks[STRAY_TEMPFILE];
    for (size_t i = 0; i < blocks->capacity; i++) {
        const struct block *block = &blocks->slots[i];
        if (!block->handle)
            continue;
        struct site *site = &lives->sites[block->site];
        site->left++;
        if (block->path && (!site->left_path || block->path < site->left_path))
            site->left_path = block->path;
    }
}
