/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the resources of one place came and went: how many were open in each of at most COURSE_WINDOWS stretches of the process's
 * life, how many were acquired in each and how many of these were kept, and how old they became. Of connections and PGconns that
 * is told by their lives; of others by what their site keeps once it has grown, so that of places where little was ever open
 * nothing is told. All places of a process share the stretches. Of finished lives. Pure.
 */
#ifndef STRAY_LIVES_COURSE_H
#define STRAY_LIVES_COURSE_H

#include "lives/lifetimes.h"

#define COURSE_WINDOWS LIVES_WINDOWS

struct course_grid {
    unsigned count;
    uint64_t end[COURSE_WINDOWS]; /* event times; the last is Tc */
};

struct course {
    bool told;                                           /* anything is */
    double open[COURSE_WINDOWS];  /* the fewest; of connections and PGconns at the end of the window */
    double bytes[COURSE_WINDOWS]; /* the smallest sum of sizes */
    double born[COURSE_WINDOWS], kept[COURSE_WINDOWS];   /* acquired; and of these, open at Tc */
    uint32_t released[AGE_BUCKETS], surviving[AGE_BUCKETS]; /* ages when released, and at Tc */
};

void course_grid_of(const struct lives *lives, struct course_grid *ret_grid);
/* Adds a site; nothing if its resources are told by their lives. */
void course_add_site(struct course *course, const struct lives *lives, const struct course_grid *grid, uint32_t site);
/* Adds the life of a connection or PGconn; others add nothing. */
void course_add_life(struct course *course, const struct lives *lives, const struct course_grid *grid, uint32_t life);

#endif
