/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verdicts on resources whose lifetimes are known: connections, PGconns, and of sockets and files the latest ones. Pure functions
 * from the lifetimes of one place to a judgement; no trace, no clock, no names.
 *
 * What tells a leaked connection from a pool's: it is silent since a later one of the same place was opened,
 * where a pool's members are used again; its place opens them as the work goes on, where a pool fills at the
 * start or in one peak. Where a place usually closes, what stays behind far longer than its usual life is
 * leaked. What cannot be told either way is not called a leak.
 */
#ifndef STRAY_VERDICTS_CONNECTIONS_H
#define STRAY_VERDICTS_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "verdicts/stats.h"
#include "verdicts/verdict.h"

/* One lifetime. Times are seconds since the process began. */
struct usage {
    double birth, last_use;
    double end;          /* if not open */
    double work;         /* done by the process when it was born */
    double work_by;      /* ... at the latest; 0: `work` is exact */
    double connect_s;    /* time spent connecting */
    double close_wait_s; /* seconds from the first to the last sample that saw CLOSE_WAIT, if it still was */
    uint32_t close_wait; /* such samples */
    double next_s;       /* when its thread next acquired one, at whatever place; INFINITY: never */
    double quiet_s;      /* longest silence between two uses */
    double error_s;      /* last_use may have been so much earlier */
    uint32_t uses;       /* exchanges; where only pieces of data are known, these */
    uint32_t thread;
    bool open;       /* at Tc */
    bool used_known; /* last_use was observed */
    bool by_ender;   /* acquired by the thread that then began the end */
    bool deserted;   /* its thread has ended, and no other is known to have used it since */
    bool orphan;     /* closed as the interpreter took itself down: no running function held it */
    bool finalizer;  /* closed by a destructor or the garbage collector */
    bool server;     /* accepted */
    bool failed;     /* a PGconn that never connected, or its connection */
    bool copy;       /* a dup */
    bool handed_on;  /* closed by another thread than acquired it */
    bool overlaps;   /* with a later one of its thread that is not among the usages */
};

/* Earlier ones that were closed, and of which no lifetime is kept: those that are stand for them. */
struct usage_gone {
    uint64_t count, finalized;
    double first, last; /* births */
    double first_work;  /* done by the process when the first was born */
    bool overlapped;    /* one of them with a later one of its thread */
};

struct usage_figures {
    const struct usage *usage; /* in the order of birth, none born after Tc */
    size_t count;
    struct usage_gone gone;
    double tc;         /* seconds since the process began */
    double work;       /* done by Tc */
    bool work_is_load; /* requests or statements; else allocations: a weak axis */
    bool exits;        /* the process ended by itself */
    bool connection;   /* a connection or PGconn: open-at-exit and churn apply */
};

struct usage_judgement {
    enum verdict verdict;
    enum severity severity;
    enum confidence confidence;
    uint64_t count;       /* resources the verdict is about */
    uint64_t certain;     /* suspected: of these, those that would be leaked if there were more of them */
    double first, last;   /* births of these */
    double median_idle_s; /* leaked, open-at-exit */
    double median_life_s; /* of the closed ones */
    double spread_time;   /* share of the time, from the first birth on, over which these were born */
    double spread_work;
    struct interval never_released; /* leaked: of those opened */
    struct interval per_second;     /* leaked: count over the time observed */
    double share; /* finalizer-closed: of the closes; churn: of the time that goes into connecting */
};

/* What becomes of those still open: leaked, open-at-exit, plateau (a pool), static, steady or few. marks[i]
 * is set for each usage the verdict counts (leaked only). `marks` has room for figures->count. -ENOMEM. */
int usage_judge_open(const struct usage_figures *figures, struct usage_judgement *ret_judgement, bool *marks);
/* Connections that are no leak only because they are so few, as if they were one: processes that do the same work may have enough of them
 * together. `count` 0: none. The one open connection of a place is suspected as well, and never certain: nothing tells it from one that
 * is wanted again. As above. */
int usage_suspect(const struct usage_figures *figures, struct usage_judgement *ret_judgement, bool *marks);
/* True if the place leaves its closing to destructors. */
bool usage_judge_finalizers(const struct usage_figures *figures, struct usage_judgement *ret_judgement);
/* True if the place opens a connection for each bit of work. */
bool usage_judge_churn(const struct usage_figures *figures, struct usage_judgement *ret_judgement);
/* True if peers hung up and this side never closed. */
bool usage_judge_close_wait(const struct usage_figures *figures, struct usage_judgement *ret_judgement);

#endif
