/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files that make a ledger share. Functions that return int give -ENOMEM, those that return a pointer NULL, without
 * memory. */
#ifndef STRAY_VIEWS_LEDGER_STEPS_H
#define STRAY_VIEWS_LEDGER_STEPS_H

#include "views/ledger.h"

/* What the last sample of a descriptor said, for as long as its number meant one thing. */
struct look {
    uint64_t handle, time;
    uint8_t state;
};

/* What is kept while one process is read. */
struct ledger_pass {
    struct map current; /* by descriptor: its look, counted from 1; 0: a new one begins */
    struct look *looks;
    size_t look_count, look_room;
    struct map stacks; /* by node */
    size_t first_point, first_moment;
    unsigned moments, moment_step; /* told so far; of so many one is kept */
    double interval, next;
    uint64_t rss, tracer;
};

/* ---- growing (ledger_stacks.c) ---- */

/* One more item, zeroed, at the end of the array whose pointer stands at `array`. */
void *ledger_append(void *array, size_t *room, size_t *count, size_t size);
/* A copy that lives as long as the ledger; NULL for NULL. */
const char *ledger_keep(struct ledger *ledger, const char *text);
/* The number of a node's stack. */
int ledger_add_stack(struct ledger *ledger, const struct report_stacks *stacks, uint32_t node, uint32_t *ret_stack);

/* ---- a process (ledger_events.c) ---- */

/* Makes ledger->pass, if there is none yet. */
int ledger_pass_begin(struct ledger *ledger);
/* NULL is accepted as ledger->pass. */
void ledger_pass_end(struct ledger *ledger);
/* What was open at `time`. */
int ledger_add_point(struct ledger *ledger, const struct lives *lives, double time);
/* Puts the looks in order, as the next one needs them. */
void ledger_sort_looks(struct ledger_pass *pass);
/* The state when `life` was last looked at; 0: it never was. */
unsigned ledger_state_of(const struct ledger_pass *pass, const struct life *life);

#endif
