/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A service as events, for the tests of reports: its functions are the nodes named here, fed as in feed.h. */
#ifndef STRAY_TEST_SERVICE_H
#define STRAY_TEST_SERVICE_H

#include "feed.h"

enum { LEAKY = 10, TWIN = 20, POOL = 30, SERVER = 40, DROPPED = 50, HOARD = 60, WORK = 70 };

/* A pool of five, a function that leaks its connection, and one that closes it, for so many requests. */
void service_run(struct feed *feed, int requests);
/* Every request allocates `kept` bytes that stay and some that do not. */
void service_hoard(struct feed *feed, int requests, uint64_t kept);
/* One statement on a PGconn, by the function `user`. */
void service_use(struct feed *feed, uint64_t conn, uint32_t user);

#endif
