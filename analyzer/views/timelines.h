/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connections peer by peer over time: how many there were and how they stood, and some of them one by one. A connection counts as
 * in use until its last use; whether it rested in between its life does not tell. Times are seconds since the first process began.
 *
 * Ownership: a struct timelines owns its arrays and refers to the ledger. Not thread safe.
 */
#ifndef STRAY_VIEWS_TIMELINES_H
#define STRAY_VIEWS_TIMELINES_H

#include "views/ledger.h"

#define TIMELINES_MAX      40   /* peers */
#define TIMELINE_BINS      160
#define TIMELINE_LIVES     200  /* of each peer */
#define TIMELINE_LIVES_ALL 1600

enum timeline_state { TIMELINE_IN_USE, TIMELINE_IDLE, TIMELINE_IN_TRANSACTION, TIMELINE_CLOSE_WAIT, TIMELINE_STATES };

struct timeline {
    const struct report_peer *peer;
    uint32_t counts[TIMELINE_STATES][TIMELINE_BINS]; /* at the end of each */
    bool timed;                  /* calls on some of them were, and: */
    double busy[TIMELINE_BINS];  /* how many were busy in one, in the mean of the bin */
    uint32_t *lives; /* of the ledger, in the order of birth: those that stayed open, then the latest */
    size_t life_count, life_total;
};

struct timelines {
    double span_s; /* all bins together */
    struct timeline *items; /* in the order of the report's peers */
    size_t count;
    uint64_t left_out; /* peers */
};

/* What became of a connection after its last use. */
enum timeline_state timeline_rest(const struct ledger_life *life);
/* Seconds from the beginning of the first process to that of this one. */
double timeline_offset(const struct ledger *ledger, uint32_t process);
/* -ENOMEM */
int timelines_make(const struct ledger *ledger, struct timelines *ret_timelines);
void timelines_clear(struct timelines *timelines);

#endif
