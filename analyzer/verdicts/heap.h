/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verdicts on blocks: heap, PGresults and whatever else is only known while it is open. Pure functions from
 * the figures of one site (one exact stack) to a judgement. A line where a table is loaded once and a line
 * that leaks both leave survivors; only the latter does so in cohort after cohort, and goes on to the end.
 * Where the figures do not say which it is, the verdict is a quiet one. docs/VERDICTS.md, section 3, states
 * the rules.
 */
#ifndef STRAY_VERDICTS_HEAP_H
#define STRAY_VERDICTS_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "verdicts/cohorts.h"
#include "verdicts/stats.h"
#include "verdicts/survival.h"
#include "verdicts/verdict.h"

#define HEAP_LATE_ONSET 0.6 /* growth that began after so much of the axis is too young to call */

/* How much was open, window by window, from the site's first birth and from the end of the warm-up on. */
struct levels {
    const double *low, *low_bytes; /* smallest number, smallest sum of sizes */
    const double *work, *time; /* where each window ends: units of work; seconds since the process began */
    unsigned count;            /* at most COHORT_WINDOWS */
};

struct heap_figures {
    uint64_t opened, closed, peak; /* closed: before Tc */
    uint64_t alive, alive_bytes;   /* at Tc */
    uint64_t warm;                 /* of the survivors: born in the first tenth of the process's work */
    uint64_t in_runs;              /* releases in runs of at least 32 */
    uint64_t resized;              /* bytes that resizing added */
    unsigned few;                  /* fewer acquires than this are too few to judge */
    double first, tc;              /* where by_work begins, and Tc: seconds since the process began */
    bool task;                     /* threads and children, not memory */
    uint64_t ended;                /* tasks, of those alive: have ended, and nobody has asked for their result */
    uint64_t in_use;               /* threads, of those alive: at work to the end */
    bool work_is_load;             /* the axis is requests or statements; else allocations: a weak one */
    double lead;                   /* windows of by_work's width between the first birth and `from` */
    double from;                   /* share of the process's work at which by_work begins */
    /* Births of survivors in COHORT_WINDOWS parts, of the work from `from` to Tc and of the time from the
     * first birth to Tc; NULL: too little was ever open to keep them. */
    const uint32_t *by_work, *by_time;
    const double *window_end; /* of each part of the work: seconds since the process began */
    double window_work;       /* units of work in each */
    struct ages ages;
    struct levels levels;
};

struct heap_judgement {
    enum verdict verdict;
    enum confidence confidence;
    bool container;   /* creep: not more of them, but ever bigger ones */
    bool young;       /* creep: linear so far, but begun too late to be sure */
    double follow_up; /* A0: seconds after which what will be released has been */
    struct cohorts cohorts;
    double onset;                   /* seconds since the process began; of the growth */
    double hazard;                  /* h: how readily old ones are still released */
    double z;                       /* trend of what is open; of bytes for a container */
    struct interval never_released; /* pi: share of those opened */
    struct interval per_second;     /* survivors; of late where growth slows */
    double per_work;                /* ... by unit of work */
    struct interval bytes_per_second;
};

struct heap_judgement heap_judge(const struct heap_figures *figures);

/* Whether survivors are worth a word: many bytes, or many of them. `rss_growth`: bytes, may be negative. */
bool heap_above_floor(uint64_t survivors, uint64_t bytes, double rss_growth);

#endif
