/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libpq hands out besides connections and results: objects to cancel with, lists of options, strings, large objects;
 * each at a site of its own. The server is the one of PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
 *
 *     libpq_more FILE | ROUNDS      FILE: absolute, to be written and removed; ROUNDS: a service that leaks one of each a round
 */
#include "expect.h"
#include "libpq_newer.h"

#include <libpq/libpq-fs.h>
#include <poll.h>
#include <string.h>

#undef PQfreeNotify
void PQfreeNotify(PGnotify *notification); /* what older programs call */

static PGconn *conn;

static void execute(const char *statement)
{
    PGresult *result = PQexec(conn, statement);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        fprintf(stderr, "%s\n", PQresultErrorMessage(result));
        exit(99);
    }
    PQclear(result);
}

/* Makes `times` at a site and gives back all but `kept`. */
#define MAKE(name, resource, times, kept, make, give_back)                                                    \
    do {                                                                                                      \
        for (int n = 0; n < (times); n++) {                                                                   \
            void *made = make;                                                                                \
            MUST(made);                                                                                       \
            if (n >= (kept))                                                                                  \
                give_back(made);                                                                              \
        }                                                                                                     \
        expect(name, resource, times, (times) - (kept), 0);                                                   \
    } while (0)

static SITE PGcancel *by_getCancel(void) { PGcancel *c = PQgetCancel(conn); return c; }
static SITE PGcancelConn *by_cancelCreate(void) { PGcancelConn *c = PQcancelCreate(conn); return c; }

static void cancels(void)
{
    char error[256];
    MAKE("by_getCancel", "pgcancel", 7, 3, by_getCancel(), PQfreeCancel);
    MAKE("by_cancelCreate", "pgcancel", 5, 2, by_cancelCreate(), PQcancelFinish);
    PGcancel *cancel = PQgetCancel(conn);
    MUST(PQcancel(cancel, error, sizeof(error)) == 1);
    PQfreeCancel(cancel);
    PGcancelConn *newer = PQcancelCreate(conn);
    MUST(PQcancelBlocking(newer) == 1);
    PQcancelFinish(newer);
    MUST(PQrequestCancel(conn) == 1);
    PQfreeCancel(NULL);
    MUST(PQgetCancel(NULL) == NULL);
    PGresult *result = PQexec(conn, "SELECT 1"); /* a cancel may come as late as this */
    PQclear(result);
}

static SITE PQconninfoOption *by_conninfo(void) { PQconninfoOption *o = PQconninfo(conn); return o; }
static SITE PQconninfoOption *by_conndefaults(void) { PQconninfoOption *o = PQconndefaults(); return o; }
static SITE PQconninfoOption *by_conninfoParse(const char *conninfo)
{
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &error);
    if (error)
        PQfreemem(error);
    return options;
}

static void options(void)
{
    MAKE("by_conninfo", "pgconninfo", 6, 2, by_conninfo(), PQconninfoFree);
    MAKE("by_conndefaults", "pgconninfo", 3, 1, by_conndefaults(), PQconninfoFree);
    MUST(by_conninfoParse("no such word") == NULL);
    MAKE("by_conninfoParse", "pgconninfo", 4, 3, by_conninfoParse("host=localhost dbname=x"), PQconninfoFree);
    MUST(PQping("") == PQPING_OK);
    const char *keys[] = {"application_name", NULL}, *values[] = {"target", NULL};
    MUST(PQpingParams(keys, values, 0) == PQPING_OK);
}

static SITE char *by_escapeLiteral(void) { char *s = PQescapeLiteral(conn, "it's", 4); return s; }
static SITE char *by_escapeIdentifier(void) { char *s = PQescapeIdentifier(conn, "a\"b", 3); return s; }
static SITE unsigned char *by_escapeBytea(size_t *size) { unsigned char *s = PQescapeBytea((const unsigned char *)"\1\2", 2, size); return s; }
static SITE unsigned char *by_escapeByteaConn(size_t *size)
{
    unsigned char *s = PQescapeByteaConn(conn, (const unsigned char *)"\1\2", 2, size);
    return s;
}
static SITE unsigned char *by_unescapeBytea(size_t *size) { unsigned char *s = PQunescapeBytea((const unsigned char *)"\\x0102", size); return s; }
static SITE char *by_encryptPassword(void) { char *s = PQencryptPassword("secret word", "somebody"); return s; }
static SITE char *by_encryptPasswordConn(void) { char *s = PQencryptPasswordConn(conn, "secret word", "somebody", NULL); return s; }
static SITE char *given_to_free(void) { char *s = PQescapeLiteral(conn, "it's", 4); return s; }
static SITE PGnotify *by_notifies(void) { PGnotify *n = PQnotifies(conn); return n; }
static SITE char *by_getCopyData(void)
{
    char *row = NULL;
    MUST(PQgetCopyData(conn, &row, 0) > 0);
    return row;
}

static void strings(void)
{
    size_t size;
    MAKE("by_escapeLiteral", "pgstring", 8, 3, by_escapeLiteral(), PQfreemem);
    MAKE("by_escapeIdentifier", "pgstring", 8, 5, by_escapeIdentifier(), PQfreemem);
    MAKE("by_escapeBytea", "pgstring", 4, 1, by_escapeBytea(&size), PQfreemem);
    MAKE("by_escapeByteaConn", "pgstring", 4, 2, by_escapeByteaConn(&size), PQfreemem);
    MAKE("by_unescapeBytea", "pgstring", 4, 3, by_unescapeBytea(&size), PQfreemem);
    MAKE("by_encryptPassword", "pgstring", 3, 1, by_encryptPassword(), PQfreemem);
    MAKE("by_encryptPasswordConn", "pgstring", 3, 2, by_encryptPasswordConn(), PQfreemem);
    MAKE("given_to_free", "pgstring", 9, 2, given_to_free(), free);
    PQfreemem(NULL);
}

static void notifications(void)
{
    execute("LISTEN a");
    for (int i = 0; i < 6; i++)
        execute("NOTIFY a");
    MUST(PQconsumeInput(conn));
    for (int i = 0; i < 6; i++) {
        PGnotify *notification = by_notifies();
        MUST(notification);
        if (i == 0)
            PQfreeNotify(notification);
        else if (i < 4)
            PQfreemem(notification);
    }
    MUST(!by_notifies());
    expect("by_notifies", "pgstring", 6, 4, 0);
}

static void copies(void)
{
    execute("CREATE TEMPORARY TABLE t (n integer)");
    PGresult *result = PQexec(conn, "COPY t FROM STDIN");
    MUST(PQresultStatus(result) == PGRES_COPY_IN);
    PQclear(result);
    for (int i = 0; i < 5; i++)
        MUST(PQputCopyData(conn, "42\n", 3) == 1);
    MUST(PQputCopyEnd(conn, NULL) == 1);
    while ((result = PQgetResult(conn)))
        PQclear(result);
    result = PQexec(conn, "COPY t TO STDOUT");
    MUST(PQresultStatus(result) == PGRES_COPY_OUT);
    PQclear(result);
    MAKE("by_getCopyData", "pgstring", 5, 2, by_getCopyData(), PQfreemem);
    char *nothing;
    MUST(PQgetCopyData(conn, &nothing, 0) == -1);
    while ((result = PQgetResult(conn)))
        PQclear(result);
}

static SITE int by_lo_open(Oid object)
{
    int fd = lo_open(conn, object, INV_READ | INV_WRITE);
    MUST(fd >= 0);
    return fd;
}
static SITE int without_transaction(Oid object)
{
    int fd = lo_open(conn, object, INV_READ);
    MUST(fd >= 0);
    return fd;
}
static SITE int until_commit(Oid object) { int fd = lo_open(conn, object, INV_READ); return fd; }
static SITE int until_finish(PGconn *other, Oid object) { int fd = lo_open(other, object, INV_READ); return fd; }
static SITE int never(Oid object) { int fd = lo_open(conn, object, INV_READ); return fd; }

/* Every call on a large object, in and out of transactions. */
static void large_objects(const char *path)
{
    char bytes[8];
    Oid object = lo_creat(conn, INV_READ | INV_WRITE), imported;
    MUST(object != InvalidOid);
    execute("BEGIN");
    for (int i = 0; i < 4; i++) {
        int fd = by_lo_open(object);
        MUST(lo_write(conn, fd, "12345678", 8) == 8);
        MUST(lo_lseek(conn, fd, 2, SEEK_SET) == 2 && lo_lseek64(conn, fd, 1, SEEK_CUR) == 3);
        MUST(lo_tell(conn, fd) == 3 && lo_tell64(conn, fd) == 3);
        MUST(lo_read(conn, fd, bytes, 4) == 4 && memcmp(bytes, "4567", 4) == 0);
        MUST(lo_truncate(conn, fd, 4) == 0 && lo_truncate64(conn, fd, 2) == 0);
        if (i < 3)
            MUST(lo_close(conn, fd) == 0);
    }
    expect("by_lo_open", "largeobject", 4, 4, 0); /* the last one by the end of the transaction */
    execute("COMMIT");

    for (int i = 0; i < 3; i++)
        without_transaction(object);
    expect("without_transaction", "largeobject", 3, 3, 0);

    for (int i = 0; i < 5; i++) {
        execute("BEGIN");
        until_commit(object);
        until_commit(object);
        execute(i % 2 ? "COMMIT" : "ROLLBACK");
    }
    expect("until_commit", "largeobject", 10, 10, 0);

    PGconn *other = PQconnectdb("");
    MUST(PQstatus(other) == CONNECTION_OK);
    PQclear(PQexec(other, "BEGIN"));
    for (int i = 0; i < 3; i++)
        MUST(until_finish(other, object) >= 0);
    PQfinish(other);
    expect("until_finish", "largeobject", 3, 3, 0);

    execute("BEGIN");
    MUST(lo_export(conn, object, path) == 1);
    imported = lo_import(conn, path);
    MUST(imported != InvalidOid && lo_unlink(conn, imported) == 1);
    imported = lo_import_with_oid(conn, path, imported);
    MUST(imported != InvalidOid && lo_unlink(conn, imported) == 1);
    imported = lo_create(conn, imported);
    MUST(imported != InvalidOid && lo_unlink(conn, imported) == 1);

    execute("COMMIT");

    execute("BEGIN");
    int first = never(object);
    MUST(never(object) >= 0 && lo_close(conn, first) == 0);
    expect("never", "largeobject", 2, 1, 0); /* the transaction is still open when the program ends */
    MUST(unlink(path) == 0);
}

static void pipelines(void)
{
    PGresult *result;
    execute("PREPARE p AS SELECT 1");
    MUST(PQsendDescribePrepared(conn, "p"));
    while ((result = PQgetResult(conn)))
        PQclear(result);
    execute("BEGIN");
    execute("DECLARE c CURSOR FOR SELECT 1");
    MUST(PQsendDescribePortal(conn, "c"));
    while ((result = PQgetResult(conn)))
        PQclear(result);
    execute("COMMIT");
    MUST(PQenterPipelineMode(conn) && PQsendFlushRequest(conn) && PQpipelineSync(conn));
    result = PQgetResult(conn);
    MUST(PQresultStatus(result) == PGRES_PIPELINE_SYNC);
    PQclear(result);
    MUST(PQexitPipelineMode(conn));
}

static SITE void leaks_cancel(void) { MUST(PQgetCancel(conn)); }
static SITE void leaks_options(void) { MUST(PQconninfo(conn)); }
static SITE void leaks_string(void) { MUST(PQescapeLiteral(conn, "it's", 4)); }
static SITE void leaks_object(Oid object) { MUST(lo_open(conn, object, INV_READ) >= 0); }
static SITE void leaks_nothing(Oid object)
{
    PGcancel *cancel = PQgetCancel(conn);
    PQfreeCancel(cancel);
    PQconninfoOption *all = PQconninfo(conn);
    PQconninfoFree(all);
    char *string = PQescapeLiteral(conn, "it's", 4);
    free(string);
    int fd = lo_open(conn, object, INV_READ);
    MUST(lo_close(conn, fd) == 0);
}

static void serve(int rounds)
{
    Oid object = lo_creat(conn, INV_READ | INV_WRITE);
    execute("BEGIN");
    for (int i = 0; i < rounds; i++) {
        execute("SELECT 1");
        leaks_cancel();
        leaks_options();
        leaks_string();
        leaks_object(object);
        leaks_nothing(object);
    }
    expect("leaks_cancel", "pgcancel", rounds, 0, 0);
    expect("leaks_options", "pgconninfo", rounds, 0, 0);
    expect("leaks_string", "pgstring", rounds, 0, 0);
    expect("leaks_object", "largeobject", rounds, 0, 0);
    expect("leaks_nothing", "pgcancel", rounds, rounds, 0);
    expect("leaks_nothing", "pgconninfo", rounds, rounds, 0);
    expect("leaks_nothing", "pgstring", rounds, rounds, 0);
    expect("leaks_nothing", "largeobject", rounds, rounds, 0);
}

int main(int argc, char **argv)
{
    MUST(argc == 2);
    conn = PQconnectdb("");
    MUST(PQstatus(conn) == CONNECTION_OK);
    if (argv[1][0] != '/') {
        serve(atoi(argv[1]));
        return 0;
    }
    cancels();
    options();
    strings();
    notifications();
    copies();
    pipelines();
    large_objects(argv[1]);
    return 0;
}
