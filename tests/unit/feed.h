/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lives without a trace: events are made here and fed one by one. Times are nanoseconds from 0. Endpoint n is
 * "peer-n". Node n is a stack of one Python frame, function "f<n>" at app.py:<n>; the nodes below stand for
 * closing stacks of each kind; node FEED_ELSEWHERE + n for another line of f<n>; node FEED_TOOL for a function of an installed program.
 */
#ifndef STRAY_TEST_FEED_H
#define STRAY_TEST_FEED_H

#include "lives/lifetimes.h"
#include "views/ledger.h"
#include "views/report.h"
#include "views/text.h"

enum { FEED_ELSEWHERE = 8000, FEED_TOOL = 7000 };
enum { BY_CLOSE = 9001, BY_DESTRUCTOR = 9002, BY_COLLECTOR = 9003, BY_EXIT = 9004 };

/* Definitions of statements' texts; any other has none. */
enum { FEED_BEGIN = 1, FEED_READ, FEED_READ_LOCKED, FEED_WRITE, FEED_ADD, FEED_PAGE, FEED_BATCH };

#define MS          UINT64_C(1000000)
#define MAIN_THREAD 1

struct feed {
    struct lives *lives;
    struct ledger *ledger; /* shown every event; NULL: none */
    bool places;           /* the report is to have them one by one */
    uint64_t now, since; /* since: of sums, the time from which on they came about */
    uint32_t lane, thread;
};

/* Begins anew. Anything that goes wrong ends the test. */
void feed_open(struct feed *feed);
/* The same of a program whose heap is sampled, every `mean` bytes. */
void feed_open_sampled(struct feed *feed, double mean);
/* Lets time pass. */
void feed_wait(struct feed *feed, uint64_t nanoseconds);
/* One event, one microsecond after the last. */
void feed_event(struct feed *feed, unsigned action, unsigned resource, uint64_t handle, uint64_t value,
                uint32_t stack);
/* The same by a hook. */
void feed_hook(struct feed *feed, unsigned hook, unsigned action, unsigned resource, uint64_t handle,
               uint64_t value, uint32_t stack);
/* socket() and connect() to endpoint `peer` on `fd` from `stack`, and the end of it. */
void feed_connect(struct feed *feed, uint64_t fd, uint64_t peer, uint32_t stack);
void feed_close(struct feed *feed, uint64_t fd, uint32_t closing_stack);
/* A PGconn on a connection of its own, both acquired at `stack`; closing closes both. */
void feed_pg_connect(struct feed *feed, uint64_t conn, uint64_t fd, uint32_t stack);
void feed_pg_use(struct feed *feed, uint64_t conn);
void feed_pg_close(struct feed *feed, uint64_t conn, uint64_t fd, uint32_t closing_stack);
/* exit(): END_BEGINS and END. */
void feed_exit(struct feed *feed);
void feed_finish(struct feed *feed);
void feed_close_all(struct feed *feed);

/* Stacks for report_add(). */
extern const struct report_stacks feed_stacks;
/* The report of one finished process with pid 100. To be freed. */
struct report *feed_report(struct feed *feed, bool all);
/* The same with the report as part of a ledger that saw everything; to be freed. feed_keep_ledger() comes first. */
void feed_keep_ledger(struct feed *feed);
struct ledger *feed_ledger(struct feed *feed);
/* Adds the finished process to a report that is not ended yet, as one of the workers that a parent forked. */
void feed_add_worker(struct feed *feed, struct report *report, uint32_t pid);
/* The report as JSON, or as text with these options; to be freed. */
char *feed_rendered(const struct report *report, bool json, const struct text_options *options);
/* The finding with this verdict on this resource at node `stack`; NULL: none. */
const struct report_finding *feed_finding(const struct report *report, enum verdict verdict,
                                          unsigned resource, uint32_t stack);
/* What life_open_at_tc() counts. */
size_t feed_open_at_tc(const struct feed *feed, unsigned resource);
/* Expects these figures of a resource. */
void feed_expect(const struct feed *feed, unsigned resource, uint64_t opened, uint64_t closed, uint64_t open);
/* One without anything, and a failure, if there is none. */
const struct site *feed_site(const struct feed *feed, unsigned resource, uint32_t stack);

#endif
