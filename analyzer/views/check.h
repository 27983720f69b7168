/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A report against what somebody is ready to accept: passed, failed, or not enough to say. Pure but for
 * writing.
 *
 * Ownership: a struct check owns its arrays and refers to the report and the suppressions. Not thread safe.
 */
#ifndef STRAY_VIEWS_CHECK_H
#define STRAY_VIEWS_CHECK_H

#include <stdio.h>

#include "views/report.h"
#include "views/suppress.h"

/* The exit statuses of `stray check`. */
enum check_result { CHECK_CLEAN = 0, CHECK_FAILED = 1, CHECK_INCONCLUSIVE = 3 };

/* No more than `most` connections to peers that match, at any time. */
struct check_limit {
    const char *peer; /* exact, or a glob */
    uint64_t most;
};

struct check_rules {
    bool verdicts[VERDICT_COUNT];   /* findings with these fail ... */
    bool severities[SEVERITY_NONE]; /* ... and those with these */
    const struct check_limit *limits;
    size_t limit_count;
    bool growth_given;
    double growth;         /* bytes an hour that resident memory may grow, the tracer's own left out */
    double min_duration_s; /* a shorter run says nothing */
    struct suppressions *suppressions; /* NULL: none; told which ones were used */
};

enum check_fate { FATE_FAILS, FATE_PASSES, FATE_SUPPRESSED };

struct check_item {
    const struct report_finding *finding;
    enum check_fate fate;
    const struct suppression *by; /* FATE_SUPPRESSED */
};

/* A limit that was not kept. */
struct check_breach {
    const char *rule; /* "max-open", "max-growth" */
    char message[512];
};

struct check {
    const struct report *report;
    const struct check_rules *rules;
    enum check_result result;
    char why[256];            /* inconclusive: the reason, else empty */
    uint64_t now_ns;          /* the trace's end; 0: unknown */
    struct check_item *items; /* one a finding, in their order */
    struct check_breach *breaches;
    size_t breach_count;
    size_t fails, passes, suppressed;
};

/* The report must have been built with all sites. -ENOMEM. */
int check_make(const struct report *report, const struct check_rules *rules, struct check *ret_check);
void check_clear(struct check *check);

/* Whether there is a peer that the limit is about. */
bool check_limit_used(const struct check *check, const struct check_limit *limit);
/* "clean", "failed", "inconclusive" */
const char *check_result_word(enum check_result result);
/* "fails", "passes", "suppressed" */
const char *check_fate_word(enum check_fate fate);
/* What a verdict means, a phrase. Never NULL. */
const char *check_meaning(enum verdict verdict);

/* For SARIF: `root` is the folder that paths are relative to, or NULL. All: -ENOMEM, -EIO. */
int check_write_text(const struct check *check, FILE *out);
int check_write_json(const struct check *check, FILE *out);
int check_write_sarif(const struct check *check, const char *root, FILE *out);
int check_write_junit(const struct check *check, FILE *out);
/* A file that would suppress all that fails. */
int check_write_suppressions(const struct check *check, FILE *out);

#endif
