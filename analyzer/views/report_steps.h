/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files that make a report share: the steps of report_add() and report_end(), and what they are written with.
 * Functions that return int give -ENOMEM, those that return a pointer NULL, without memory.
 */
#ifndef STRAY_VIEWS_REPORT_STEPS_H
#define STRAY_VIEWS_REPORT_STEPS_H

#include "views/report.h"

/* ---- the report ---- */

/* A copy of `text` that lives as long as the report; NULL for NULL. */
const char *report_keep(struct report *report, const char *text);
/* One more item, zeroed, at the end of the array whose pointer stands at `array`. */
void *report_append(void *array, size_t *count, size_t size);
/* Adds `number` to the set of `count`; room is made in powers of two. */
int report_add_number(struct report *report, uint32_t **numbers, size_t *count, uint32_t number);
/* Seconds since the process began; 0 for what came before. */
double report_seconds(const struct lives *lives, uint64_t time);

/* ---- places (finding_place.c) ---- */

struct report_frame report_copy_frame(struct report *report, const struct frame *frame);
/* The frame to blame of a stack; NULL: there is none. `data` is a struct report_stacks. */
const struct frame *report_blame_in(void *data, uint32_t node);
/* The peer of a PGconn: that of its connection, else what libpq said of itself; NULL: not known. */
const char *report_conn_peer(const struct lives *lives, const struct life *life);
/* The peer of what was acquired there; NULL: none. */
const char *report_peer_of(const struct lives *lives, const struct fold *fold);
/* What a finding of `fold` begins with: its place, its peer, no figures. Its stack lasts until report_add() returns, unless
 * report_keep_stack() is called. */
int report_place(struct report *report, const struct lives *lives, const struct fold *fold,
                 const struct report_stacks *stacks, struct report_finding *ret_finding);
/* The same for what was done at `stack` between two event times. */
int report_place_at(struct report *report, const struct lives *lives, uint32_t stack, unsigned resource, uint64_t first,
                    uint64_t last, const struct report_stacks *stacks, struct report_finding *ret_finding);
/* Makes the stack of a finding last as long as the report. */
int report_keep_stack(struct report *report, struct report_finding *finding);

/* ---- findings ---- */

/* A finding of one process as a report has it; its stack lasts as that of report_place() (findings.c). */
int report_judged(struct report *report, const struct lives *lives, const struct fold *fold, const struct finding *from,
                  const struct report_stacks *stacks, struct report_finding *ret_finding);
/* Adds the finding, or adds it up with the one of the same place (findings.c). */
int report_add_finding(struct report *report, const struct report_finding *finding, const uint32_t *pids,
                       size_t pid_count, size_t *ret_index);
/* One process found that the finding at `index` follows from that at `cause` (consequences.c). */
int report_claim_cause(struct report *report, size_t index, size_t cause);
/* Adds to a finding of the report where those of `fold` that it counts were last used (last_use.c). */
int report_add_last_uses(struct report *report, const struct lives *lives, const struct judged *judged, const struct fold *fold,
                         const struct report_stacks *stacks, struct report_finding *finding);
/* The sentence of a finding (message.c). */
const char *report_message(struct report *report, const struct report_finding *finding);
/* The text of the statement of a definition; NULL: not kept. */
const char *report_statement(struct report *report, const struct lives *lives, uint64_t definition);

/* ---- of one process ---- */

/* What its places were judged for (findings.c). */
int report_add_findings(struct report *report, const struct lives *lives, const struct folds *folds,
                        const struct judged *judged, const struct report_stacks *stacks, uint32_t pid);
/* How many of its places were quiet, and, of `all`, a row for each (site_rows.c). */
int report_add_sites(struct report *report, const struct lives *lives, const struct folds *folds,
                     const struct judged *judged, const struct report_stacks *stacks,
                     const struct report_process *process, bool all);
/* What is too little there to be called a leak, and may be one with what its siblings have (siblings.c). */
int report_add_suspects(struct report *report, const struct lives *lives, const struct folds *folds, const struct judged *judged,
                        const struct report_stacks *stacks, const struct report_process *process);
/* What its statements give away (statement_findings.c). */
int report_add_statements(struct report *report, const struct lives *lives, const struct report_stacks *stacks, uint32_t pid);
/* What is to be said of several pools to one database (pool_findings.c). */
int report_add_pools(struct report *report, const struct lives *lives, const struct report_stacks *stacks, uint32_t pid);
/* ... and of pools that threads wait for (queue_findings.c). */
int report_add_queues(struct report *report, const struct lives *lives, const struct report_stacks *stacks, uint32_t pid);
/* What it sent, a row for each fingerprint (statement_rows.c). */
int report_add_rows(struct report *report, const struct report_process *process, const struct lives *lives,
                    const struct report_stacks *stacks);
/* Where its memory went (memory.c). */
int report_add_memory(struct report *report, const struct lives *lives, const struct folds *folds,
                      const struct report_stacks *stacks, const struct report_process *process);
/* What of it runs out (outlook.c). */
int report_add_outlook(struct report *report, const struct lives *lives, const struct folds *folds,
                       const struct judged *judged, uint32_t pid);

/* ---- of all ---- */

/* Completes what processes could not say of their own ends by what their parents saw (deaths.c). */
void report_settle_ends(struct report *report);
/* Makes findings of what processes with one parent have together. Comes before causes are settled (siblings.c). */
int report_settle_siblings(struct report *report);
/* Gives each finding the weightiest cause that was claimed for it and does not itself follow from it: the same one, whatever order
 * the processes came in. Comes before any finding is moved (consequences.c). */
int report_settle_causes(struct report *report);
/* Tells of each finding where most of its connections were last used (last_use.c). */
void report_settle_last_uses(struct report *report);
/* What of all processes together runs out (outlook.c). */
int report_end_outlook(struct report *report);

#endif
