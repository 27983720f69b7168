/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the events of libpq's calls, in the order of time, to figures: per statement and the place that sends it; per
 * transaction's place; per connection; and what keeps event loops. One pass; memory grows with places, with prepared
 * statements and with connections, never with calls.
 *
 * A statement's time is that of the call where the call waits for the answer, else from sending it to the end of its last result.
 *
 * Ownership: a struct statements owns everything reachable from it. Not thread safe.
 */
#ifndef STRAY_LIVES_STATEMENTS_H
#define STRAY_LIVES_STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lives/map.h"
#include "lives/sql_words.h"
#include "stray/format.h"
#include "stray/hooks.h"

#define STATEMENTS_NONE  UINT32_MAX
#define STATEMENT_ROWS_MANY  10000u
#define STATEMENT_BYTES_MANY (8u << 20)
#define DURATION_BUCKETS 128u /* four an octave from a microsecond */

/* What the pass must ask of others. */
struct statements_source {
    void *data;
    const char *(*text)(void *data, uint64_t definition); /* normalised; NULL: not known */
    double (*span)(void *data, uint64_t ticks);           /* seconds */
    uint32_t (*flags)(void *data, uint64_t definition);   /* enum stray_statement_flag; NULL: not known of any */
    uint32_t (*place)(void *data, uint32_t stack);        /* equal for stacks that differ in a driver's own frames only; NULL: all
                                                             differ */
};

/* The same statement again and again on one connection: within one transaction, or else within a second, with few others
 * between. */
struct statement_loops {
    uint64_t runs, calls; /* of at least 5; of the calls in them */
    uint64_t ticks;       /* that these calls took */
    uint32_t longest;     /* calls of the longest run */
    uint64_t longest_ticks; /* from its first to its last call's end */
    bool in_transaction;  /* the longest one was */
};

/* A statement sent from one place. */
struct statement_use {
    uint64_t definition; /* of its text; 0: not known */
    uint32_t stack;
    uint16_t hook;
    struct sql_words words;
    uint64_t calls, errors;
    uint64_t ticks, longest;                /* all calls; the longest one */
    uint64_t durations[DURATION_BUCKETS];   /* calls by time */
    uint64_t results, rows, rows_most;      /* rows returned, or touched by what returns none */
    uint64_t bytes, bytes_most;             /* memory of results */
    uint64_t unbounded;                     /* results of at least STATEMENT_ROWS_MANY rows or STATEMENT_BYTES_MANY */
    uint64_t held;                          /* the longest time that one of STATEMENT_BYTES_MANY was kept; 0: none, or not known */
    uint64_t outlived;                      /* such ones that were kept for 10 s after their thread had got another one from here */
    uint64_t length_most, members_most;     /* of the text as it was sent; of its longest list */
    uint32_t conn;                          /* the one it was last sent on; STATEMENTS_NONE: control statements */
    uint64_t connections;                   /* that the text was sent on, and from here first */
    uint64_t first, last;                   /* event times */
    struct statement_loops loops;
    uint64_t overwrites;   /* UPDATE: of what had been read on the same connection, in the same transaction, with no lock */
    uint32_t overwrites_of; /* ... by this one, the last time; STATEMENTS_NONE: never */
};

/* Where transactions begin that were then left idle for a second or more. */
struct statement_idle {
    uint32_t stack;      /* of the statement that began them */
    uint64_t times, ticks, longest; /* silences of a second and more */
    uint32_t last_use;   /* the statement before the longest one; STATEMENTS_NONE: not known */
    uint64_t connections; /* left so at the end, or at their close */
    bool failed;         /* the longest one was of a transaction with an error */
    uint64_t first, last; /* when silences began */
};

struct blocked_calls {
    uint64_t calls, ticks, longest; /* of at least 50 ms */
    uint64_t first, last;
};

/* A call that kept a thread from waiting for events. */
struct statement_blocked {
    uint32_t stack;
    uint16_t hook;
    struct blocked_calls all, serving; /* serving: by a thread that waited by epoll, after a connection had been accepted */
};

/* Threads that waited for another one, and then sent a statement over a connection that another one had used until then. */
struct statement_queue {
    uint32_t stack, next_stack; /* of the wait; of the statement that came next */
    uint32_t conn;              /* over which it was sent, the first time */
    uint64_t times, ticks, longest;
    uint64_t first, last;       /* when waits ended */
};

/* Results of STATEMENT_BYTES_MANY that were kept for 10 s and more after their thread had sent a statement from elsewhere. */
struct statement_kept {
    uint32_t use, later_stack;
    uint64_t results, longest; /* longest: from that statement on */
};

/* What a connection had at its end of the prepared statements of one place and text. Private. */
struct prepared_ending {
    uint32_t of, conn, left, abandoned;
    uint64_t birth, end, next;
};

/* A text that is prepared at one place. */
struct statement_prepared {
    uint64_t definition; /* 0: not known */
    uint32_t stack;
    uint64_t made, deallocated; /* names */
    uint64_t left, abandoned;   /* on connections that were kept and had 10 abandoned ones or more when they ended; prepared.c */
    uint64_t connections;       /* such ones */
    uint64_t brief;             /* ... and such ones that were soon closed */
    uint64_t first, last;       /* when names were made */
    struct prepared_ending ending; /* private */
};

/* What one PGconn did. */
struct statement_conn {
    uint64_t handle, birth; /* birth: time of its OPEN; 0: it was not seen */
    uint64_t statements;
    uint64_t busy, in_transaction; /* ticks */
    uint64_t transactions;         /* that lasted longer than one call */
    uint64_t used;                 /* ... in calls or in transactions */
    uint32_t last_use;             /* STATEMENTS_NONE: none */
    uint8_t status;                /* PGTransactionStatusType, last seen */
    bool closed;
    uint32_t session; /* private; STATEMENTS_NONE: it is over */
    uint32_t group;   /* private: a connection of the same group, up to one that names itself */
};

struct statements {
    struct statement_use *uses;
    size_t use_count;
    struct statement_idle *idles;
    size_t idle_count;
    struct statement_blocked *blocked;
    size_t blocked_count;
    struct statement_queue *queues;
    size_t queue_count;
    struct statement_kept *kept;
    size_t kept_count;
    struct statement_prepared *prepared;
    size_t prepared_count;
    struct statement_conn *conns; /* in the order in which they were first seen */
    size_t conn_count;

    /* private */
    struct statements_source source;
    struct map birth_map; /* conns by handle and birth */
    struct map place_map; /* places by stack */
    struct map use_map, idle_map, blocked_map, conn_map, name_map, pair_map;
    struct map loop_map;  /* by thread: how often it has waited for events */
    struct map epoll_map; /* ... by epoll */
    struct map held_map; /* by handle: large results that are held */
    struct map later_map; /* kept by use and stack */
    struct held *held;
    size_t held_count, held_room, held_now, kept_room; /* held_now: not yet released */
    uint32_t last_result_use, last_result_thread; /* of the latest RESULT */
    struct map queue_map, await_map; /* queues by both stacks; awaits by thread */
    struct await *awaits; /* of threads, the last one of each */
    size_t await_count, queue_room, await_room;
    struct connecting *connecting; /* the latest of all threads, a ring */
    uint64_t connected;            /* how many there were */
    struct map prepared_map, prepared_place_map; /* names by connection and hash; prepared by text and place */
    struct prepared_name *names;
    struct prepared_ending *endings; /* that matter */
    size_t name_count, name_room, ending_count, ending_room, prepared_room;
    uint32_t free_name; /* the first one that is to be used again, and one; 0: none */
    uint64_t begin;     /* time of the first event */
    uint64_t requests;  /* accepted so far */
    struct session *sessions; /* of open connections */
    uint32_t free_session;    /* the first one that is to be used again, and one; 0: none */
    size_t use_room, idle_room, blocked_room, conn_room, session_room, session_count;
};

/* `source` is copied; what its data points to must outlive the statements. */
void statements_open(const struct statements_source *source, struct statements *ret_statements);
void statements_close(struct statements *statements);
/* A request was accepted: what is sent for one is no loop with what is sent for another. */
void statements_requested(struct statements *statements);
/* The next event in time order that is about a PGconn, a PGresult or a thread. -ENOMEM only. */
int statements_feed(struct statements *statements, const struct stray_event *event, uint32_t thread);
/* At the end: `tc` is the time up to which silences count. */
int statements_finish(struct statements *statements, uint64_t tc);

/* One of the connections over which, from one to the next, the same place sent the same statement: it stands for all of them. */
uint32_t statements_group(const struct statements *statements, uint32_t conn);

/* What the PGconn did that was opened as `handle` at `birth`; NULL: that was not seen. */
const struct statement_conn *statements_conn(const struct statements *statements, uint64_t handle, uint64_t birth);

/* The seconds that the share `share` of the calls counted in DURATION_BUCKETS buckets did not exceed. */
double durations_quantile(const uint64_t *durations, double share);

#endif
