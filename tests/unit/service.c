/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service.h"

void service_run(struct feed *feed, int requests)
{
    for (uint64_t i = 0; i < 5; i++)
        feed_pg_connect(feed, 0x1000 + 16 * i, 50 + i, POOL);
    for (int i = 0; i < requests; i++) {
        uint64_t leaked = 0x10000 + 16 * (uint64_t)i;
        feed_wait(feed, 20 * MS);
        feed_event(feed, STRAY_OPEN, STRAY_CONNECTION, 10, 7, SERVER);
        feed_pg_use(feed, 0x1000 + 16 * ((uint64_t)i % 5));
        feed_pg_connect(feed, leaked, 100 + (uint64_t)i, LEAKY);
        feed_pg_use(feed, leaked);
        feed_pg_connect(feed, 0x900000, 11, TWIN);
        feed_pg_use(feed, 0x900000);
        feed_wait(feed, 2 * MS);
        feed_pg_close(feed, 0x900000, 11, BY_CLOSE);
        feed_event(feed, STRAY_CLOSE, STRAY_CONNECTION, 10, 0, BY_CLOSE);
    }
    feed_wait(feed, 20 * MS);
}

void service_hoard(struct feed *feed, int requests, uint64_t kept)
{
    for (int i = 0; i < requests; i++) {
        feed_wait(feed, MS);
        feed_event(feed, STRAY_OPEN, STRAY_HEAP, 0x100000 + 4096 * (uint64_t)i, kept, HOARD);
        for (int k = 0; k < 10; k++) {
            feed_event(feed, STRAY_OPEN, STRAY_HEAP, 0x80, 100, WORK);
            feed_event(feed, STRAY_CLOSE, STRAY_HEAP, 0x80, 0, 0);
        }
    }
}

void service_use(struct feed *feed, uint64_t conn, uint32_t user)
{
    feed_hook(feed, STRAY_HOOK_PQexec, STRAY_STATEMENT, STRAY_PGCONN, conn, FEED_READ | UINT64_C(50) << 32, user);
    feed_hook(feed, STRAY_HOOK_PQexec, STRAY_USE, STRAY_PGCONN, conn, MS, user);
}
