/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/course.h"

#include <math.h>

void course_grid_of(const struct lives *lives, struct course_grid *ret_grid)
{
    const struct marks *marks = &lives->marks;
    unsigned shift = 0;
    struct course_grid grid = {0};
    if (marks->count == 0) {
        *ret_grid = grid;
        return;
    }
    while (marks->current >> shift >= COURSE_WINDOWS)
        shift++;
    grid.count = (marks->current >> shift) + 1;
    for (unsigned i = 0; i + 1 < grid.count; i++)
        grid.end[i] = marks_at(marks, (i + 1) << shift)->at[AXIS_TIME];
    grid.end[grid.count - 1] = lives->tc;
    *ret_grid = grid;
}

/* What is kept of the others may have become a figure of its site before the end (retire.c). */
static bool told_by_lives(unsigned resource)
{
    return resource == STRAY_CONNECTION || resource == STRAY_PGCONN;
}

/* Where samples were taken, each stands for as many as they do in the mean of the site. */
static double weight_of(const struct site *site)
{
    return site->estimated && site->opened > 0 ? site->born.count / (double)site->opened : 1;
}

static void add(uint32_t *counter, double count)
{
    *counter = (uint32_t)fmin(UINT32_MAX, *counter + count + 0.5);
}

void course_add_site(struct course *course, const struct lives *lives, const struct course_grid *grid, uint32_t index)
{
    const struct site *site = &lives->sites[index];
    const struct growth *growth = site->growth;
    if (!growth || told_by_lives(site->resource))
        return;
    const struct births *births = growth->windows.births;
    double each = weight_of(site);
    course->told = true;
    for (unsigned i = 0; i < grid->count; i++) {
        course->open[i] += each * growth->windows.low[i];
        course->bytes[i] += growth->windows.low_bytes[i];
        if (!births)
            continue;
        course->kept[i] += each * births->kept[i];
        /* What was born while little was open is spread, and of it nobody knows when. */
        course->born[i] += each * fmax(births->born[i], births->kept[i]);
    }
    for (unsigned i = 0; i < AGE_BUCKETS; i++) {
        add(&course->released[i], each * growth->released[i]);
        add(&course->surviving[i], each * growth->surviving[i]);
    }
}

static unsigned window_of(const struct course_grid *grid, uint64_t time)
{
    unsigned window = 0;
    while (window + 1 < grid->count && grid->end[window] <= time)
        window++;
    return window;
}

void course_add_life(struct course *course, const struct lives *lives, const struct course_grid *grid, uint32_t index)
{
    const struct life *life = &lives->lives[index];
    if (!told_by_lives(life->resource) || life->inherited || life->born_late || grid->count == 0)
        return;
    bool kept = life_open_at_tc(life);
    uint64_t death = kept ? lives->tc : life->death;
    unsigned birth = window_of(grid, life->birth);
    course->told = true;
    course->born[birth]++;
    course->kept[birth] += kept;
    for (unsigned i = birth; i < grid->count && (kept || grid->end[i] < death); i++)
        course->open[i]++;
    unsigned age = bucket_of_ticks(&lives->ages, death > life->birth ? death - life->birth : 0);
    add(kept ? &course->surviving[age] : &course->released[age], 1);
}
