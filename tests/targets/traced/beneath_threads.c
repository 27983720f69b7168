/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads that connect, and end each other's connections, while others pass blocks of the same sizes from hand to hand: all share one
 * arena, so that an address that one has just given up becomes another's, inside of a call of libpq or not. The server is the one of PGHOST
 * and so on. To be run without the allocator's caches of the threads: GLIBC_TUNABLES=glibc.malloc.tcache_count=0
 */
#include "expect.h"

#include <libpq-fe.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>

#define CONNECTING 3
#define TIMES      8
#define PASSING    2
#define PLACES     8
#define SIZES      24

static void *places[PLACES]; /* blocks that wait for another thread */
static PGconn *handed;       /* a connection that another thread ends */
static long passed, connecting = CONNECTING;

static SITE void *by_pass(size_t size) { void *p = malloc(size); return p; }
static SITE PGconn *by_connectdb(void) { PGconn *c = PQconnectdb(""); return c; }
static SITE PGresult *by_exec(PGconn *conn) { PGresult *r = PQexec(conn, "select 1"); return r; }

static void *passes(void *argument)
{
    for (unsigned i = 0; __atomic_load_n(&connecting, __ATOMIC_RELAXED) > 0; i++) {
        void *block = by_pass(16 + 16 * (size_t)(i % SIZES));
        __atomic_fetch_add(&passed, 1, __ATOMIC_RELAXED);
        if (i % 5 == 0)
            MUST(block = realloc(block, 32 + 16 * (size_t)(i % SIZES)));
        free(__atomic_exchange_n(&places[i * 7 % PLACES], block, __ATOMIC_ACQ_REL));
        if (i % 64 == 0)
            sched_yield();
    }
    return NULL;
}

static void *connects(void *argument)
{
    for (int i = 0; i < TIMES; i++) {
        PGconn *conn = by_connectdb();
        MUST(PQstatus(conn) == CONNECTION_OK);
        PQclear(by_exec(conn));
        PQfinish(__atomic_exchange_n(&handed, conn, __ATOMIC_ACQ_REL));
    }
    __atomic_fetch_sub(&connecting, 1, __ATOMIC_RELAXED);
    return NULL;
}

int main(void)
{
    pthread_t threads[CONNECTING + PASSING];
    MUST(mallopt(M_ARENA_MAX, 1));
    PQfinish(by_connectdb()); /* what the first one loads stays */
    for (int i = 0; i < CONNECTING + PASSING; i++)
        MUST(pthread_create(&threads[i], NULL, i < CONNECTING ? connects : passes, NULL) == 0);
    for (int i = 0; i < CONNECTING + PASSING; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < PLACES; i++)
        free(places[i]);
    PQfinish(handed);
    expect("by_pass", "heap", passed, passed, 0);
    expect("by_connectdb", "pgconn", CONNECTING * TIMES + 1, CONNECTING * TIMES + 1, -1);
    expect("by_exec", "pgresult", CONNECTING * TIMES, CONNECTING * TIMES, -1);
    return 0;
}
