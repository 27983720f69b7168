/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pool of connections that opens one when somebody asks for one and all are in use, up to CONNECTIONS, and then makes
 * threads wait by a call of one's choice. The server is the one of PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
 *
 *     pool short CALL    more threads than connections: they wait for one
 *     pool enough CALL   as many threads: all connections are in use all the time, and nobody waits
 *     pool idle CALL     more threads, that wait for something to do, and then never for a connection
 */
#include "expect.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS 3
#define MANY        8
#define TURNS       90 /* of all threads */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static PGconn *idle[CONNECTIONS];
static int idle_count, opened, turns = TURNS;

/* What can be had of something: connections, or leave to begin. */
struct supply {
    pthread_cond_t condition;
    sem_t semaphore;
    int count;
};
static struct supply connections, leaves;

static const struct timespec *far(clockid_t clock, struct timespec *time)
{
    clock_gettime(clock, time);
    time->tv_sec += 60;
    return time;
}

static void by_pthread_cond_wait(struct supply *from) { MUST(pthread_cond_wait(&from->condition, &mutex) == 0); }
static void by_pthread_cond_timedwait(struct supply *from)
{
    struct timespec time;
    MUST(pthread_cond_timedwait(&from->condition, &mutex, far(CLOCK_REALTIME, &time)) == 0);
}
static void by_pthread_cond_clockwait(struct supply *from)
{
    struct timespec time;
    MUST(pthread_cond_clockwait(&from->condition, &mutex, CLOCK_MONOTONIC, far(CLOCK_MONOTONIC, &time)) == 0);
}
static void by_sem_wait(struct supply *from) { MUST(sem_wait(&from->semaphore) == 0); }
static void by_sem_timedwait(struct supply *from)
{
    struct timespec time;
    MUST(sem_timedwait(&from->semaphore, far(CLOCK_REALTIME, &time)) == 0);
}
static void by_sem_clockwait(struct supply *from)
{
    struct timespec time;
    MUST(sem_clockwait(&from->semaphore, CLOCK_MONOTONIC, far(CLOCK_MONOTONIC, &time)) == 0);
}

static const struct {
    const char *name;
    void (*wait)(struct supply *from);
    bool of_semaphore;
} calls[] = {{"pthread_cond_wait", by_pthread_cond_wait, false}, {"pthread_cond_timedwait", by_pthread_cond_timedwait, false},
             {"pthread_cond_clockwait", by_pthread_cond_clockwait, false}, {"sem_wait", by_sem_wait, true},
             {"sem_timedwait", by_sem_timedwait, true}, {"sem_clockwait", by_sem_clockwait, true}};
static size_t call;

static void supply_open(struct supply *supply, int count)
{
    supply->count = count;
    MUST(pthread_cond_init(&supply->condition, NULL) == 0 && sem_init(&supply->semaphore, 0, (unsigned)count) == 0);
}

/* With the mutex. */
static void take(struct supply *from)
{
    if (calls[call].of_semaphore) {
        pthread_mutex_unlock(&mutex);
        calls[call].wait(from);
        pthread_mutex_lock(&mutex);
        return;
    }
    while (from->count == 0)
        calls[call].wait(from);
    from->count--;
}

static void give(struct supply *to)
{
    to->count++;
    pthread_cond_signal(&to->condition);
    sem_post(&to->semaphore);
}

static SITE PGconn *pool_get(void)
{
    take(&connections);
    PGconn *conn = idle_count > 0 ? idle[--idle_count] : NULL;
    if (!conn) {
        opened++;
        conn = PQconnectdb("");
        MUST(PQstatus(conn) == CONNECTION_OK);
    }
    return conn;
}

static void pool_put(PGconn *conn)
{
    idle[idle_count++] = conn;
    give(&connections);
}

static SITE void task(void)
{
    pthread_mutex_lock(&mutex);
    PGconn *conn = pool_get();
    pthread_mutex_unlock(&mutex);
    PGresult *result = PQexec(conn, "SELECT pg_sleep(0.03)");
    MUST(PQresultStatus(result) == PGRES_TUPLES_OK);
    PQclear(result);
    pthread_mutex_lock(&mutex);
    pool_put(conn);
    pthread_mutex_unlock(&mutex);
}

static bool one_more(void)
{
    pthread_mutex_lock(&mutex);
    bool more = turns-- > 0;
    pthread_mutex_unlock(&mutex);
    return more;
}

static SITE void *worker(void *limited)
{
    while (one_more()) {
        pthread_mutex_lock(&mutex);
        if (limited)
            take(&leaves);
        pthread_mutex_unlock(&mutex);
        task();
        pthread_mutex_lock(&mutex);
        if (limited)
            give(&leaves);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    bool enough = !strcmp(argv[1], "enough");
    while (call < sizeof(calls) / sizeof(*calls) && strcmp(calls[call].name, argv[2]))
        call++;
    MUST(call < sizeof(calls) / sizeof(*calls));
    supply_open(&connections, CONNECTIONS);
    supply_open(&leaves, CONNECTIONS);
    pthread_t threads[MANY];
    for (int i = 0; i < (enough ? CONNECTIONS : MANY); i++)
        MUST(pthread_create(&threads[i], NULL, worker, strcmp(argv[1], "idle") ? NULL : &leaves) == 0);
    for (int i = 0; i < (enough ? CONNECTIONS : MANY); i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    MUST(opened <= CONNECTIONS && idle_count == opened);
    while (idle_count > 0)
        PQfinish(idle[--idle_count]);
    return 0;
}
