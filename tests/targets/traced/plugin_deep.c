/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A library that is loaded with RTLD_DEEPBIND, with libpq behind it. */
#include "expect.h"

#include <libpq-fe.h>
#include <sys/socket.h>

static SITE void *deep_malloc(void) { void *volatile block = malloc(321); return block; }
static SITE int deep_socket(void) { int fd = socket(AF_UNIX, SOCK_STREAM, 0); return fd; }
static SITE PGconn *deep_connect(void) { PGconn *c = PQconnectdb(""); return c; }

void plugin_deep(int opened, int closed);

__attribute__((visibility("default"))) void plugin_deep(int opened, int closed)
{
    for (int i = 0; i < opened; i++) {
        void *block = deep_malloc();
        int fd = deep_socket();
        PGconn *conn = deep_connect();
        MUST(block && fd >= 0 && PQstatus(conn) == CONNECTION_OK);
        if (i < closed) {
            free(block);
            MUST(close(fd) == 0);
            PQfinish(conn);
        }
    }
}
