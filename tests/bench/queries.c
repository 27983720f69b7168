/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * queries connect TIMES | exec TIMES: connections to the server that the environment names, each with one query, or queries
 * over one connection. Prints nanoseconds for each, by the clock and of the process's processor time.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void query(PGconn *connection)
{
    PGresult *result = PQexec(connection, "select 1");
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fprintf(stderr, "queries: %s", PQerrorMessage(connection));
        exit(1);
    }
    PQclear(result);
}

static void connect_and_query(void)
{
    PGconn *connection = PQconnectdb("");
    query(connection);
    PQfinish(connection);
}

int main(int argc, char **argv)
{
    if (argc != 3 || (strcmp(argv[1], "connect") != 0 && strcmp(argv[1], "exec") != 0))
        return 2;
    long times = atol(argv[2]);
    PGconn *connection = *argv[1] == 'e' ? PQconnectdb("") : NULL;
    double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    for (long i = 0; i < times; i++) {
        if (connection)
            query(connection);
        else
            connect_and_query();
    }
    printf("%.1f %.1f\n", (now(CLOCK_MONOTONIC) - wall) / (double)times, (now(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)times);
    if (connection)
        PQfinish(connection);
    return 0;
}
