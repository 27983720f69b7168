/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Everything a trace says of lifetimes and places, flat, for lists and exports: where the report folds and
 * judges, this keeps each exact stack, each lifetime of what has one, and how counts went over time. Built
 * along with the report, one trace after the other, in the order given; so the order of all tables is
 * determined by the traces.
 *
 * Texts are the trace's own, of any bytes: who writes them escapes. Ownership: a struct ledger owns everything reachable from it. Not thread safe.
 */
#ifndef STRAY_VIEWS_LEDGER_H
#define STRAY_VIEWS_LEDGER_H

#include "views/report.h"

#define LEDGER_NONE   UINT32_MAX
#define LEDGER_POINTS 4096 /* a process, at most */
#define LEDGER_MOMENTS 512

struct ledger_process {
    uint32_t pid, parent_pid;
    const char *exe;            /* NULL: unknown */
    uint64_t start_realtime_ns; /* 0: unknown */
    double duration_s;
    double end_s; /* when its end began: what verdicts look at */
    const char *end;
    uint64_t events, lost_events;
    double work[AXIS_COUNT]; /* done when its end began, on each axis; AXIS_TIME: seconds */
};

struct ledger_stack {
    uint32_t *frames; /* indexes, innermost first */
    uint32_t count, blame;
    bool truncated;
};

/* An exact place: one stack and, for connections, one peer, in one process. */
struct ledger_place {
    uint32_t process;
    uint32_t stack; /* LEDGER_NONE: not asked for */
    unsigned resource;
    const char *peer; /* NULL: none */
    bool server;
    uint64_t opened, closed, open, bytes_open, peak;
    uint64_t opened_by_end, alive, alive_bytes; /* opened, and open, when the end began */
    double first_s, last_s;                     /* acquires, since the process began */
    bool estimated;                             /* all these are, of samples */
    double alive_variance;                      /* ... of the estimate */
};

enum ledger_closed {
    LEDGER_OPEN,
    LEDGER_CLOSED,     /* the program called close */
    LEDGER_FINALIZER,  /* a destructor or the garbage collector did */
    LEDGER_EXIT,       /* the exit, or what came after the end began */
    LEDGER_EXEC,       /* an exec */
    LEDGER_IMPLICIT,   /* its number was used again: nobody saw the close */
    LEDGER_RECONCILED, /* a look at what is open found it gone */
};

/* One lifetime of a descriptor or PGconn. Times are seconds since the process began. */
struct ledger_life {
    uint32_t process, place;
    uint32_t closing_stack; /* LEDGER_NONE: unknown */
    uint32_t partner; /* PGconn: its connection; connection: its PGconn; index of a life, or LEDGER_NONE */
    unsigned resource;
    const char *peer;
    bool server, copy;
    uint64_t handle;
    uint32_t thread;
    double opened_s;
    double ended_s; /* of an open one: the last moment there is */
    double used_s;  /* last use; opened_s where none was seen */
    double busy_s, connect_s;
    uint32_t uses;
    bool statements_known; /* `statements` is */
    uint32_t statements;
    uint64_t transactions;
    double in_transaction_s;    /* where statements are known */
    unsigned transaction;       /* PGTransactionStatusType when last seen */
    const char *last_statement; /* without literals; NULL: none, or not kept */
    double close_wait_s; /* when its last CLOSE_WAIT was first seen; negative: it has none */
    unsigned state; /* of TCP, when last looked at, as in the kernel's enumeration; 0: unknown */
    enum ledger_closed closed;
};

/* How things stood at one moment. */
struct ledger_point {
    uint32_t process;
    double time_s;
    uint64_t rss, tracer; /* as last sampled; 0: not yet */
    uint64_t heap_bytes;
    uint64_t open[STRAY_USER_END];
};

/* How long timed calls on connections to one peer took, in windows of one width. */
struct ledger_busy {
    uint32_t process;
    const char *peer;
    bool server;
    double from_s, width_s;       /* of the first window; of each */
    double seconds[BUSY_WINDOWS]; /* of calls, all added up */
};

/* What resident memory consisted of at one moment: bytes. */
struct ledger_moment {
    uint32_t process;
    double time_s;
    uint64_t rss;
    struct parts parts;
};

struct ledger {
    bool all; /* stacks of all places, not only of those that have lives */
    struct report *report;
    struct ledger_process *processes;
    size_t process_count;
    struct report_frame *frames;
    size_t frame_count;
    struct ledger_stack *stacks;
    size_t stack_count;
    struct ledger_place *places;
    size_t place_count;
    struct ledger_life *lives;
    size_t life_count;
    struct ledger_life *before; /* open when their process was attached to: without a place, and without the moment that they began */
    size_t before_count;
    struct ledger_point *points;
    size_t point_count;
    struct ledger_moment *moments;
    size_t moment_count;
    struct ledger_busy *busy;
    size_t busy_count;
    struct arena arena;

    /* private to ledger.c */
    size_t process_room, frame_room, stack_room, place_room, life_room, before_room, point_room, moment_room, busy_room;
    struct map frame_map, stack_map;
    bool starved; /* memory ran out for a text */
    struct ledger_pass *pass;
};

/* Reads and judges the traces at `paths` as report_build() does. Without options->all only stacks of places
 * that have lives are named. */
int ledger_build(char *const *paths, size_t count, const char *given, const struct report_options *options,
                 struct ledger **ret_ledger, struct error *error);
/* NULL is accepted. */
void ledger_free(struct ledger *ledger);

/* The steps of ledger_build() for one process after the other: each event, then the finished lives. */
int ledger_begin(bool all, struct ledger **ret_ledger);
int ledger_event(void *ledger, const struct lives *lives, const struct stray_event *event);
int ledger_process(void *ledger, const struct report_process *process, const struct lives *lives,
                   const struct report_stacks *stacks);

/* NULL for a stack without frames. */
const struct report_frame *ledger_blame(const struct ledger *ledger, uint32_t stack);
const char *ledger_closed_word(enum ledger_closed closed);
/* "CLOSE_WAIT"; NULL: unknown. */
const char *ledger_state_word(unsigned state);
/* "idle in transaction"; NULL: not known. */
const char *ledger_transaction_word(const struct ledger_life *life);
/* Seconds from the last use to the end. */
double ledger_idle(const struct ledger_life *life);

#endif
