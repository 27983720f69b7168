/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attached_libpq SHIM FOLDER: attaches to itself between calls of libpq, which it is linked with. The server is that of the PG variables.
 */
#include "attach.h"

#include <libpq-fe.h>

static struct attach attach;

static SITE PGconn *connects(void)
{
    PGconn *conn = PQconnectdb("");
    MUST(PQstatus(conn) == CONNECTION_OK);
    return conn;
}
static SITE PGresult *asks(PGconn *conn)
{
    PGresult *result = PQexec(conn, "SELECT 1");
    MUST(PQresultStatus(result) == PGRES_TUPLES_OK);
    return result;
}

/* Of four that were there before, one is used, one is closed, one is used and closed, and of one nobody hears. */
int main(int argc, char **argv)
{
    PGconn *early[4], *late[5];
    PGresult *results[6];
    MUST(argc == 3);
    attach.shim = argv[1];
    attach.folder = argv[2];
    for (int i = 0; i < 4; i++)
        early[i] = connects();
    results[0] = asks(early[0]);
    MUST(attach_begin(&attach) == 0);
    for (int i = 0; i < 5; i++)
        late[i] = connects();
    results[1] = asks(early[0]);
    results[2] = asks(early[2]);
    results[3] = asks(late[0]);
    results[4] = asks(late[1]);
    results[5] = asks(early[0]);
    PQclear(results[0]);
    PQclear(results[1]);
    PQclear(results[3]);
    PQfinish(early[1]);
    PQfinish(early[2]);
    PQfinish(late[0]);
    PQfinish(late[2]);
    MUST(attach_end(&attach) == 0);
    PQclear(results[2]);
    PQclear(asks(late[1]));
    PQfinish(connects());
    expect("connects", "pgconn", 5, 2, -1);
    expect("connects", "connection", 5, 2, -1);
    expect("asks", "pgresult", 5, 2, -1);
    return 0;
}
