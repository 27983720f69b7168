/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls that came with libpq 17, made of the calls of libpq 15, in a library of its own: programs that use
 * them can then be built and traced where only 15 is installed. They do what the real ones do.
 */
#ifndef TARGETS_LIBPQ_NEWER_H
#define TARGETS_LIBPQ_NEWER_H

#include <libpq-fe.h>

PGresult *PQclosePrepared(PGconn *conn, const char *name);
PGresult *PQclosePortal(PGconn *conn, const char *name);
PGresult *PQchangePassword(PGconn *conn, const char *user, const char *secret);

typedef struct pg_cancel_conn PGcancelConn;
PGcancelConn *PQcancelCreate(PGconn *conn);
int PQcancelBlocking(PGcancelConn *cancel);
int PQcancelStart(PGcancelConn *cancel);
PostgresPollingStatusType PQcancelPoll(PGcancelConn *cancel);
void PQcancelFinish(PGcancelConn *cancel);

int PQsendClosePrepared(PGconn *conn, const char *name);
int PQsendClosePortal(PGconn *conn, const char *name);
int PQsendPipelineSync(PGconn *conn);
int PQsetChunkedRowsMode(PGconn *conn, int size);

#endif
