/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verdicts on blocks: heap, PGresults and whatever else is only known while it is open. Pure functions from
 * the cohorts of one site (one exact stack) to a judgement. A line where a table is loaded once and a line
 * that leaks both leave survivors; only the latter does so in cohort after cohort, and goes on to the end.
 * Where the figures do not say which it is, the verdict is a quiet one.
 */
#ifndef STRAY_VERDICTS_HEAP_H
#define STRAY_VERDICTS_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "verdicts/stats.h"
#include "verdicts/verdict.h"

#define HEAP_WINDOWS 64

struct heap_figures {
    uint64_t opened, closed, peak; /* closed: before Tc */
    uint64_t alive, alive_bytes;   /* at Tc */
    uint64_t warm;                 /* of the survivors: born in the first tenth of the process's work */
    uint64_t in_runs;              /* releases in runs of at least 32 */
    unsigned few;                  /* fewer acquires than this are too few to judge */
    double first, tc;              /* first birth, and Tc: seconds since the process began */
    bool work_is_load;             /* the axis is requests or statements; else allocations: a weak one */
    const uint32_t *by_work,
        *by_time; /* survivors' births in HEAP_WINDOWS parts from `first` to Tc; NULL: never grew */
    const double *window_end;             /* of each part of the work: seconds since the process began */
    const uint32_t *released, *surviving; /* ages, in `buckets` buckets */
    const double *bucket_age;             /* lower bound of each bucket, and of the one after the last */
    unsigned buckets;
};

struct heap_judgement {
    enum verdict verdict;
    enum confidence confidence;
    double generations; /* G: share of the cohorts that hold survivors */
    double order;       /* p: 1 linear, 0.5 root, 0 plateau */
    double order_sd;
    double hazard;                  /* h: how readily old ones are still released */
    struct interval never_released; /* share of those opened */
};

struct heap_judgement heap_judge(const struct heap_figures *figures);

/* Whether survivors are worth a word: many bytes, or many of them. `rss_growth`: bytes, may be negative. */
bool heap_above_floor(uint64_t survivors, uint64_t bytes, double rss_growth);

#endif
