/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several pools of connections to one database in one process: each keeps its own spare ones, and the server has to have room for
 * all. Connections over which the same place has sent the same statement are one pool, wherever each was opened. Pure.
 */
#ifndef STRAY_VERDICTS_POOLS_H
#define STRAY_VERDICTS_POOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "verdicts/verdict.h"

/* One connection, in seconds since the process began. */
struct pool_member {
    double birth, end; /* end: its release, or Tc */
    uint64_t statements;
};

/* Its connections, all to one database. */
struct pool {
    uint32_t place;    /* where the first was opened */
    uint32_t database; /* equal numbers: the same server, database and user */
    uint32_t members;
    double from, to; /* from its first birth to its last use */
};

struct pool_judgement {
    enum severity severity;
    enum confidence confidence;
    uint32_t pools;       /* side by side, the judged one included */
    uint32_t connections; /* members of these */
};

/* Whether a connection is kept and used again, so that it counts as one of a pool; `tc`: when the end began. */
bool pool_keeps(const struct pool_member *member, double tc);
/* Whether the pool `which` came as one more beside others to the same database that were made elsewhere. `pools` are in the order
 * of birth. */
bool pool_judge(const struct pool *pools, size_t count, size_t which, struct pool_judgement *ret_judgement);

/* Threads that wait until others give back a pool's connections. */
struct pool_queue {
    uint64_t times;    /* waits of 10 ms and more */
    double waited_s;   /* all of them */
    double observed_s; /* since the pool's first connection */
};
/* Whether the pool is too small for those who use it. */
bool pool_judge_queue(const struct pool_queue *queue, struct pool_judgement *ret_judgement);

#endif
