/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Places one by one, for a page that shows each: how what they acquired came and went, how long it lives, and the stacks that lead
 * there. Bounded whatever the traces: of each kind the most telling ones are kept, and how many are not is counted.
 *
 * Ownership: a struct places owns everything reachable from it, but for texts, which are the report's. Not thread safe.
 */
#ifndef STRAY_VIEWS_PLACES_H
#define STRAY_VIEWS_PLACES_H

#include "lives/course.h"
#include "verdicts/judge.h"
#include "verdicts/survival.h"
#include "views/tree.h"

#define PLACES_MAX   256  /* with a course */
#define PLACE_STACKS 6    /* of each */
#define STACKS_MAX   2400 /* in the flame graph */
#define SERIES_MAX   320  /* of these, told at every time */
#define NODES_MAX    60000 /* of the tree: stacks that would make it larger are left out */

struct place_stack {
    uint32_t node; /* of the tree */
    uint64_t opened, alive, alive_bytes;
};

struct place {
    uint32_t process; /* index in struct places */
    unsigned resource;
    struct report_frame site;
    bool known; /* `site` is */
    const char *peer;
    bool server;
    enum verdict verdict;
    uint64_t opened, alive, alive_bytes; /* alive: when the end began */
    bool estimated;         /* all these are, of samples */
    double first_s, last_s; /* acquires, since the process began */
    struct course course;
    struct survival_step *curve; /* NULL: too few to tell */
    size_t curve_count;
    struct place_stack stacks[PLACE_STACKS]; /* those that hold most first */
    size_t stack_count, stack_total;
};

/* One exact stack of one process. */
struct stack_row {
    uint32_t process, node;
    unsigned resource;
    bool accused;                        /* its place leaks or creeps */
    uint64_t opened, alive, alive_bytes; /* alive: when the end began */
    double *open, *bytes;                /* window by window, as in a course; NULL: not told */
};

struct places_process {
    uint32_t pid;
    unsigned windows;
    double end_s[COURSE_WINDOWS]; /* where each ends, since the process began */
};

struct places {
    struct tree tree;
    struct places_process *processes;
    size_t process_count;
    struct place *items; /* those with a verdict that is loud first, then those that hold most */
    size_t count;
    uint64_t left_out; /* places that had a course and are not among them */
    struct stack_row *rows; /* those of places that leak first, then those that hold most */
    size_t row_count;
    uint64_t rows_left_out;

    /* private to places.c */
    size_t process_room, room, row_room, series_count;
};

/* Adds the places of one process. Texts are kept by `report`. -ENOMEM. */
int places_add(struct places *places, struct report *report, const struct report_process *process, const struct lives *lives,
               const struct folds *folds, const struct judged *judged, const struct report_stacks *stacks);
/* Sorts, and leaves in the tree what is still needed. Nothing may be added afterwards. -ENOMEM. */
int places_end(struct places *places);
/* Whether the finding is about this place. */
bool place_is_of(const struct place *place, const struct report_finding *finding);
/* NULL is accepted. */
void places_free(struct places *places);

#endif
