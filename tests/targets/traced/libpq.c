/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every libpq call in the table, each at a site of its own: ways to connect, to fail to connect, to reset, to
 * run statements and to get results. The server is the one of PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
 */
#include "expect.h"
#include "libpq_newer.h"

#include <poll.h>
#include <string.h>

static PGconn *conn; /* for the statements */

static void wait_for(PGconn *c, PostgresPollingStatusType status)
{
    struct pollfd wait = {.fd = PQsocket(c), .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT};
    MUST(poll(&wait, 1, 30000) == 1);
}

/* Connecting. */
static SITE PGconn *by_connectdb(const char *conninfo) { PGconn *c = PQconnectdb(conninfo); return c; }
static SITE PGconn *by_connectdbParams(void)
{
    const char *keys[] = {"application_name", NULL}, *values[] = {"target", NULL};
    PGconn *c = PQconnectdbParams(keys, values, 0);
    return c;
}
static SITE PGconn *by_setdbLogin(void)
{
    PGconn *c = PQsetdbLogin(NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    return c;
}
static SITE PGconn *by_connectStart(int with_params)
{
    const char *keys[] = {"application_name", NULL}, *values[] = {"target", NULL};
    PGconn *c = with_params ? PQconnectStartParams(keys, values, 0) : PQconnectStart("application_name=target");
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        MUST(status != PGRES_POLLING_FAILED);
        wait_for(c, status);
        status = PQconnectPoll(c);
    }
    return c;
}
static SITE PGconn *failing(void)
{
    PGconn *c = PQconnectdb("dbname=there_is_no_such_database");
    MUST(c && PQstatus(c) == CONNECTION_BAD);
    return c;
}

static void connects(void)
{
    for (int i = 0; i < 5; i++) {
        PGconn *c = by_connectdb("");
        MUST(PQstatus(c) == CONNECTION_OK);
        if (i < 2)
            PQfinish(c);
    }
    expect("by_connectdb", "pgconn", 5, 2, 0);
    expect("by_connectdb", "connection", 5, 2, 0);

    PQfinish(by_connectdbParams());
    MUST(PQstatus(by_connectdbParams()) == CONNECTION_OK);
    expect("by_connectdbParams", "pgconn", 2, 1, 0);
    expect("by_connectdbParams", "connection", 2, 1, 0);

    PQfinish(by_setdbLogin());
    MUST(PQstatus(by_setdbLogin()) == CONNECTION_OK && PQstatus(by_setdbLogin()) == CONNECTION_OK);
    expect("by_setdbLogin", "pgconn", 3, 1, 0);
    expect("by_setdbLogin", "connection", 3, 1, 0);

    PQfinish(by_connectStart(0));
    PQfinish(by_connectStart(1));
    MUST(PQstatus(by_connectStart(0)) == CONNECTION_OK && PQstatus(by_connectStart(1)) == CONNECTION_OK);
    expect("by_connectStart", "pgconn", 4, 2, 0);
    expect("by_connectStart", "connection", 4, 2, 0);

    for (int i = 0; i < 4; i++) {
        PGconn *c = failing();
        if (i == 3)
            PQfinish(c);
    }
    expect("failing", "pgconn", 4, 1, 0);
    PQfinish(NULL);
}

/* A reset keeps the PGconn and takes a new socket, at the line that resets. */
static SITE PGconn *to_reset(void) { PGconn *c = PQconnectdb(""); return c; }
static SITE void resetting(PGconn *c)
{
    PQreset(c);
    MUST(PQstatus(c) == CONNECTION_OK);
}
static SITE void resetting_slowly(PGconn *c)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    MUST(PQresetStart(c) == 1);
    while (status != PGRES_POLLING_OK) {
        MUST(status != PGRES_POLLING_FAILED);
        wait_for(c, status);
        status = PQresetPoll(c);
    }
}
static void resets(void)
{
    PGconn *one = to_reset(), *two = to_reset();
    MUST(PQstatus(one) == CONNECTION_OK && PQstatus(two) == CONNECTION_OK);
    for (int i = 0; i < 3; i++)
        resetting(one);
    resetting_slowly(two);
    PQfinish(one);
    expect("to_reset", "pgconn", 2, 1, 0);
    expect("to_reset", "connection", 2, 2, 0);
    expect("resetting", "pgconn", 0, 0, 0);
    expect("resetting", "connection", 3, 3, 0);
    expect("resetting_slowly", "connection", 1, 0, 0);
}

/* Results. */
static PGresult *good(PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        fprintf(stderr, "%s\n", PQresultErrorMessage(result));
        exit(99);
    }
    return result;
}
static SITE PGresult *by_exec(const char *query) { PGresult *r = PQexec(conn, query); return r; }
static SITE PGresult *by_execParams(const char *value)
{
    PGresult *r = PQexecParams(conn, "SELECT $1::text", 1, NULL, &value, NULL, NULL, 0);
    return r;
}
static SITE PGresult *by_prepare(void) { PGresult *r = PQprepare(conn, "p", "SELECT $1::integer + 1", 1, NULL); return r; }
static SITE PGresult *by_execPrepared(const char *value)
{
    PGresult *r = PQexecPrepared(conn, "p", 1, &value, NULL, NULL, 0);
    return r;
}
static SITE PGresult *by_describePrepared(void) { PGresult *r = PQdescribePrepared(conn, "p"); return r; }
static SITE PGresult *by_describePortal(void) { PGresult *r = PQdescribePortal(conn, "c"); return r; }
static SITE PGresult *by_closePrepared(void) { PGresult *r = PQclosePrepared(conn, "p"); return r; }
static SITE PGresult *by_closePortal(void) { PGresult *r = PQclosePortal(conn, "c"); return r; }
static SITE PGresult *by_changePassword(void) { PGresult *r = PQchangePassword(conn, "target_user", "a-new-secret"); return r; }
static SITE PGresult *by_makeEmptyPGresult(void) { PGresult *r = PQmakeEmptyPGresult(conn, PGRES_COMMAND_OK); return r; }
static SITE PGresult *by_copyResult(const PGresult *of) { PGresult *r = PQcopyResult(of, PG_COPYRES_TUPLES); return r; }
static SITE PGresult *by_fn(void)
{
    int sum = 0, length = 0;
    PQArgBlock arguments[2] = {{.len = 4, .isint = 1, .u.integer = 20}, {.len = 4, .isint = 1, .u.integer = 22}};
    PGresult *r = PQfn(conn, 177 /* int4pl */, &sum, &length, 1, arguments, 2);
    MUST(sum == 42);
    return r;
}
static SITE PGresult *by_getResult(void) { PGresult *r = PQgetResult(conn); return r; }

/* Makes `times` results at a site, clears all but `kept`. */
#define RESULTS(name, times, kept, call)                                                                      \
    do {                                                                                                      \
        for (int n = 0; n < (times); n++) {                                                                   \
            PGresult *result = good(call);                                                                    \
            if (n >= (kept))                                                                                  \
                PQclear(result);                                                                              \
        }                                                                                                     \
        expect(name, "pgresult", times, (times) - (kept), 0);                                                 \
    } while (0)

static void drain(void)
{
    PGresult *result;
    while ((result = by_getResult()))
        PQclear(good(result));
}

static void statements(void)
{
    const char *value = "41";
    PGresult *source = good(PQexec(conn, "SELECT generate_series(1, 100)"));
    RESULTS("by_exec", 30, 12, by_exec("SELECT 1"));
    RESULTS("by_execParams", 6, 3, by_execParams("a value"));
    RESULTS("by_prepare", 1, 1, by_prepare());
    RESULTS("by_execPrepared", 8, 2, by_execPrepared(value));
    RESULTS("by_describePrepared", 3, 1, by_describePrepared());
    RESULTS("by_makeEmptyPGresult", 5, 4, by_makeEmptyPGresult());
    RESULTS("by_copyResult", 5, 2, by_copyResult(source));
    RESULTS("by_fn", 3, 1, by_fn());
    PQclear(good(PQexec(conn, "BEGIN")));
    PQclear(good(PQexec(conn, "DECLARE c CURSOR FOR SELECT 1")));
    RESULTS("by_describePortal", 4, 3, by_describePortal());
    RESULTS("by_closePortal", 1, 1, by_closePortal());
    PQclear(good(PQexec(conn, "COMMIT")));
    RESULTS("by_closePrepared", 1, 1, by_closePrepared());
    PQclear(good(PQexec(conn, "CREATE USER target_user")));
    RESULTS("by_changePassword", 2, 1, by_changePassword());
    PQclear(good(PQexec(conn, "DROP USER target_user")));

    /* Sent apart: each gives one result and the end. */
    MUST(PQsendQuery(conn, "SELECT 1; SELECT 2"));
    drain();
    MUST(PQsendQueryParams(conn, "SELECT $1::text", 1, NULL, &value, NULL, NULL, 0));
    drain();
    MUST(PQsendPrepare(conn, "q", "SELECT $1::integer", 1, NULL));
    drain();
    MUST(PQsendQueryPrepared(conn, "q", 1, &value, NULL, NULL, 0));
    MUST(good(by_getResult()));
    MUST(!by_getResult());
    expect("by_getResult", "pgresult", 5, 4, 0);
    PQclear(source);
    PQclear(NULL);
}

int main(void)
{
    conn = PQconnectdb("");
    MUST(PQstatus(conn) == CONNECTION_OK);
    connects();
    resets();
    statements();
    PQfinish(conn);
    return 0;
}
