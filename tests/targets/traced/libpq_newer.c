/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libpq_newer.h"

#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static PGresult *run(PGconn *conn, const char *format, const char *first, const char *second)
{
    char statement[512];
    int length = snprintf(statement, sizeof(statement), format, first, second);
    return length > 0 && (size_t)length < sizeof(statement) ? PQexec(conn, statement) : NULL;
}

static int send(PGconn *conn, const char *format, const char *name)
{
    char statement[512];
    int length = snprintf(statement, sizeof(statement), format, name);
    return length > 0 && (size_t)length < sizeof(statement) ? PQsendQuery(conn, statement) : 0;
}

EXPORT int PQsendClosePrepared(PGconn *conn, const char *name)
{
    return send(conn, "DEALLOCATE \"%s\"", name);
}

EXPORT int PQsendClosePortal(PGconn *conn, const char *name)
{
    return send(conn, "CLOSE \"%s\"", name);
}

EXPORT int PQsendPipelineSync(PGconn *conn)
{
    return PQpipelineSync(conn);
}

/* One row is a chunk, too. */
EXPORT int PQsetChunkedRowsMode(PGconn *conn, int size)
{
    return size > 0 ? PQsetSingleRowMode(conn) : 0;
}

EXPORT PGresult *PQclosePrepared(PGconn *conn, const char *name)
{
    return run(conn, "DEALLOCATE \"%s\"%s", name, "");
}

EXPORT PGresult *PQclosePortal(PGconn *conn, const char *name)
{
    return run(conn, "CLOSE \"%s\"%s", name, "");
}

EXPORT PGresult *PQchangePassword(PGconn *conn, const char *user, const char *secret)
{
    return run(conn, "ALTER USER \"%s\" PASSWORD '%s'", user, secret);
}

/* One that is made of the older kind. */
EXPORT PGcancelConn *PQcancelCreate(PGconn *conn)
{
    return (PGcancelConn *)PQgetCancel(conn);
}

EXPORT int PQcancelBlocking(PGcancelConn *cancel)
{
    char error[256];
    return PQcancel((PGcancel *)cancel, error, sizeof(error));
}

EXPORT int PQcancelStart(PGcancelConn *cancel)
{
    return PQcancelBlocking(cancel);
}

EXPORT PostgresPollingStatusType PQcancelPoll(PGcancelConn *cancel)
{
    return cancel ? PGRES_POLLING_OK : PGRES_POLLING_FAILED;
}

EXPORT void PQcancelFinish(PGcancelConn *cancel)
{
    PQfreeCancel((PGcancel *)cancel);
}
