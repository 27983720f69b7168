/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where resident memory went between two moments, and whether the allocator keeps too much of it. Pure functions. The
 * parts always add up to the growth: what nothing else explains is `unexplained`.
 */
#ifndef STRAY_VERDICTS_PARTS_H
#define STRAY_VERDICTS_PARTS_H

#include "lives/resident.h"
#include "verdicts/verdict.h"

struct parts_figures {
    int64_t growth;              /* of resident memory */
    struct resident first, last;
    uint64_t mapped_first, mapped_last; /* what hooked calls mapped, resident; without: */
    uint64_t arenas_first, arenas_last; /* ... what the Python interpreter did for its small objects */
    bool heap_known;                    /* heap blocks were recorded */
};

/* What of the arenas no live small object takes that was seen: free, headers, and objects from before anything could be seen. */
struct slack {
    int64_t bytes;
    double uncertain; /* 95 % */
};

struct parts {
    int64_t live_heap;
    int64_t overhead; /* the allocator's, of live blocks */
    int64_t retained; /* free, and kept by the allocator */
    int64_t arenas, mapped, stacks, files, tracer, unexplained;
    double uncertain; /* bytes by which live_heap, an estimate, may be wrong, and with it what is reckoned from it; 95 % */
};

/* Never below 0: of `arenas`, the growth of their resident pages. */
struct slack parts_slack(const struct resident *first, const struct resident *last, int64_t arenas);
struct parts parts_of(const struct parts_figures *figures);
/* What resident memory consisted of at one moment. All that hooked calls mapped counts as mapped, arenas as well. */
struct parts parts_at(const struct resident *at, bool heap_known);
/* How much it matters what the allocator holds free. A warning only if it is much and has been so for a while: at the moment
 * before the last one, too. SEVERITY_NONE: it need not be said. */
enum severity parts_retained(const struct parts *parts, int64_t growth, const struct residents *residents);
/* How far a difference of two estimates may be off, from their variances; 95 %. */
double parts_uncertain(double first_variance, double last_variance);

#endif
