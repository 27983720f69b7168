/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Large objects that are open, by connection. The server closes them at the end of the transaction, which no call on the
 * object tells: libpq is asked after each call while any is open. Thread and signal safe, leaves errno alone.
 */
#ifndef STRAY_PRELOAD_HOOKS_LARGE_OBJECTS_H
#define STRAY_PRELOAD_HOOKS_LARGE_OBJECTS_H

#include "hooks/wrap.h"

/* After an outermost call of `hook` on `conn`. */
void large_objects_settle(const struct libpq *libpq, const PGconn *conn, uint16_t hook);
/* All of the connection known by this handle are gone, since `time`. */
void large_objects_end(uint64_t conn, uint16_t hook, uint64_t time);

#endif
