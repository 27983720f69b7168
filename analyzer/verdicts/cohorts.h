/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Births of survivors along the work: what was loaded once stands in few windows, a leak in one after the
 * other. Pure functions.
 */
#ifndef STRAY_VERDICTS_COHORTS_H
#define STRAY_VERDICTS_COHORTS_H

#include <stdbool.h>
#include <stdint.h>

#define COHORT_WINDOWS 64 /* equal parts of the work */

/* The windows whose resources should have been released by now, from the onset of survival on. */
struct cohorts {
    unsigned onset, end; /* windows [onset, end) */
    uint64_t survivors;  /* s */
    unsigned groups;     /* of equal work: 16, or fewer where survivors or windows are few */
    double generations;  /* G: share of the groups that hold a survivor */
    double top_two;      /* share of the survivors in the two richest groups */
    double order;        /* p: survivors grow with work to the power of it; 1 linear, 0.5 root, 0 plateau */
    double order_sd;
};

/* `born`: survivors by window of birth. `end`: windows from here on are too young to tell. `lead`: for how
 * many windows the site had been at it before the first. */
struct cohorts cohorts_of(const uint32_t *born, unsigned end, double lead);

/* How many times more the births of one stretch of windows differ from those of the next than chance alone would make them, for
 * the width of stretch where it is most: at least 1. */
double cohorts_unevenness(const uint32_t *born, const struct cohorts *cohorts);

/* What the order of growth is below by 95 %, judged by all births rather than by how many there are at half and at the end. There
 * must be survivors in at least two windows. */
double cohorts_likely_order_high(const uint32_t *born, const struct cohorts *cohorts, double lead, double unevenness);

/* Whether growth that was faster at first goes on at an even pace, unlike what slows down for ever: the place filled a table
 * or a cache, and leaks besides. *ret_tail: the later half of the windows, in which it does. */
bool cohorts_go_on(const uint32_t *born, const struct cohorts *cohorts, double lead, struct cohorts *ret_tail);

/* Windows that ended by `time`, given when each ended. */
unsigned cohorts_until(const double *window_end, double time);

/* Whether survivors have ceased to be born: a silence to the end of `least` windows and more, longer than any before, during
 * which several were due. */
bool cohorts_ceased(const uint32_t *born, unsigned least);

#endif
