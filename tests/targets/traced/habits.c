/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * habits HOW: what C programs forget of libpq, each beside a healthy twin. The server is that of PGHOST and so on; at NOBODY none is.
 *     failed      connections that could not be made, and are given up or not
 *     held        large results that are cleared too late, or in time; takes 11 s
 */
#include "expect.h"

#include <libpq-fe.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define NOBODY "host=127.0.0.1 port=1 dbname=nobody"
#define ROUNDS 12
#define LARGE  "SELECT repeat('x', 1000) FROM generate_series(1, 12000) LIMIT 12000"

static void pause_for(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* ---- connections that could not be made ---- */

static SITE void forgets_failed(void)
{
    PGconn *conn = PQconnectdb(NOBODY);
    MUST(PQstatus(conn) == CONNECTION_BAD);
}

static SITE void finishes_failed(void)
{
    PGconn *conn = PQconnectdb(NOBODY);
    MUST(PQstatus(conn) == CONNECTION_BAD);
    PQfinish(conn);
}

/* Until it succeeds; what failed is forgotten, or finished. */
static SITE void retries(void)
{
    PGconn *conn = NULL;
    for (int attempt = 0; attempt < 3 || PQstatus(conn) != CONNECTION_OK; attempt++)
        conn = PQconnectdb(attempt < 3 ? NOBODY : "");
    PQfinish(conn);
}

static SITE void retries_well(void)
{
    PGconn *conn = NULL;
    for (int attempt = 0; attempt < 3 || PQstatus(conn) != CONNECTION_OK; attempt++) {
        PQfinish(conn);
        conn = PQconnectdb(attempt < 3 ? NOBODY : "");
    }
    PQfinish(conn);
}

static PGconn *polled(void)
{
    PGconn *conn = PQconnectStart(NOBODY);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        struct pollfd poller = {PQsocket(conn), status == PGRES_POLLING_READING ? POLLIN : POLLOUT, 0};
        if (poller.fd >= 0)
            poll(&poller, 1, 5000);
        status = PQconnectPoll(conn);
    }
    MUST(status == PGRES_POLLING_FAILED);
    return conn;
}

static SITE void polls_and_forgets(void) { PGconn *volatile conn = polled(); (void)conn; }
static SITE void polls_and_finishes(void) { PQfinish(polled()); }

static void failed(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        forgets_failed();
        finishes_failed();
        retries();
        retries_well();
    }
    for (int i = 0; i < ROUNDS; i++) { /* last: from now on the thread is one that waits for events */
        polls_and_forgets();
        polls_and_finishes();
    }
    expect("forgets_failed", "pgconn", ROUNDS, 0, 0);
    expect("finishes_failed", "pgconn", ROUNDS, ROUNDS, 0);
    expect("retries", "pgconn", 4 * ROUNDS, ROUNDS, 0);
    expect("retries_well", "pgconn", 4 * ROUNDS, 4 * ROUNDS, 0);
    expect("polled", "pgconn", 2 * ROUNDS, ROUNDS, 0);
}

/* ---- large results ---- */

static PGresult *large(PGconn *conn)
{
    PGresult *result = PQexec(conn, LARGE);
    MUST(PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 12000);
    return result;
}

static SITE void forgets_result(PGconn *conn)
{
    PGresult *result = large(conn);
    MUST(strlen(PQgetvalue(result, 0, 0)) == 1000);
}

static SITE void clears_result(PGconn *conn)
{
    PGresult *result = large(conn);
    MUST(strlen(PQgetvalue(result, 0, 0)) == 1000);
    PQclear(result);
}

/* A row is a second's work, and other statements are a part of it. */
static SITE void reads_for_long(PGconn *conn, PGconn *other)
{
    PGresult *result = large(conn);
    for (int row = 0; row < 11; row++) {
        MUST(strlen(PQgetvalue(result, row, 0)) == 1000);
        PQclear(PQexec(other, "SELECT 1"));
        pause_for(1000);
    }
    PQclear(result);
}

static SITE void goes_on(PGconn *conn)
{
    PQclear(PQexec(conn, "SELECT 2"));
}

static void held(void)
{
    PGconn *conn = PQconnectdb(""), *other = PQconnectdb("");
    MUST(PQstatus(conn) == CONNECTION_OK && PQstatus(other) == CONNECTION_OK);
    for (int i = 0; i < 3; i++)
        forgets_result(conn);
    clears_result(conn);
    goes_on(conn);
    reads_for_long(conn, other);
    goes_on(conn);
    PQfinish(conn);
    PQfinish(other);
}

int main(int argc, char **argv)
{
    MUST(argc == 2);
    if (strcmp(argv[1], "failed") == 0)
        failed();
    else
        held();
    return 0;
}
