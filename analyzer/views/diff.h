/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two traces of one service, before and after a change: what leaked per unit of work, and whether that is
 * another rate or only another run.
 *
 * Places are matched by resource and the function and file to blame, since lines move when code is edited;
 * what is left on both sides, and was acquired on one side only, by the callers they have in common: that is
 * a function that was renamed.
 *
 * Ownership: a struct diff owns its rows and refers to both ledgers. Not thread safe. Pure but for writing.
 */
#ifndef STRAY_VIEWS_DIFF_H
#define STRAY_VIEWS_DIFF_H

#include <jansson.h>
#include <stdio.h>

#include "views/ledger.h"

/* In the order in which rows are shown. */
enum diff_word {
    DIFF_WORSE,
    DIFF_NEW,
    DIFF_UNCHANGED,
    DIFF_IMPROVED,
    DIFF_TOO_SHORT,
    DIFF_FIXED,
    DIFF_WORDS
};

/* One side of a row. */
struct diff_side {
    bool there;           /* something was acquired at this place */
    bool accused;         /* a finding says so */
    enum verdict verdict; /* of the worst finding; VERDICT_FEW: there is none */
    uint64_t count,
        bytes;       /* what the finding is about; without one, survivors where they could not be judged */
    uint64_t opened; /* when the end began */
    double rate;     /* count per unit of work */
    bool estimated;  /* count, bytes and opened are, of samples */
    double each;     /* how many of them weigh as much as one that was counted: 1 unless they are estimates */
};

struct diff_row {
    enum diff_word word;
    unsigned resource;
    enum verdict kind;               /* VERDICT_LEAKED stands for creep as well */
    const struct report_frame *site; /* of the new side where it is there; NULL: unknown */
    bool by_callers;                 /* matched by the callers */
    struct diff_side base, fresh;
    struct interval ratio; /* of the rates, new to base; high is infinite where base has none */
    double needed;         /* units of work that the other run takes to show this rate; 0: none of interest */
};

struct diff {
    const struct ledger *base, *fresh;
    enum axis axis;
    double base_work, fresh_work;
    double base_load, fresh_load; /* work a second; 0: unknown */
    bool load_differs;            /* by more than 20 % */
    struct diff_row *rows;
    size_t count;
};

/* The ledgers must have been built with all places. -ENOMEM. */
int diff_make(const struct ledger *base, const struct ledger *fresh, struct diff *ret_diff);
void diff_clear(struct diff *diff);

/* The ratio of two rates with its log-normal interval; with no events in the new run the rule of three bounds
 * it. */
struct interval diff_ratio(uint64_t base_count, double base_work, uint64_t new_count, double new_work);
/* What to call a place, from the counts alone; *ret_needed as in a row. */
enum diff_word diff_judge(uint64_t base_count, double base_work, uint64_t new_count, double new_work,
                          double *ret_needed);

/* "too short to tell" */
const char *diff_word(enum diff_word word);
/* -ENOMEM, -EIO */
int diff_write_text(const struct diff *diff, FILE *out);
int diff_write_json(const struct diff *diff, FILE *out);
/* What that writes; a new reference. */
json_t *diff_json(const struct diff *diff);

#endif
