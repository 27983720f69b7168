/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the libpq hooks have in common. libpq calls itself through its exported functions, so hooks nest: only the
 * outermost call of a thread is an event. Connection strings and error texts are never read, and of statements no literal and
 * no parameter is kept (hooks/statements.h).
 */
#ifndef STRAY_PRELOAD_HOOKS_LIBPQ_H
#define STRAY_PRELOAD_HOOKS_LIBPQ_H

#include "hooks/statements.h"
#include "hooks/wrap.h"

struct libpq_span {
    const struct libpq *libpq;
    uint64_t begin;
    uint32_t stack; /* of the caller, where it is recorded */
    uint16_t hook;
    bool recorded; /* outermost, and the gate is open */
    bool sent;     /* a statement was told */
};

/*
 * A callback may leave libpq by an exception, or end its thread: the hooks are unwound then, and do not return. In each of
 * them stands LIBPQ_UNWINDS: what a C++ compiler would make of a destructor, without its run-time library.
 */
#define LIBPQ_UNWINDS() __asm__ volatile(".cfi_personality 0x1b, libpq_personality")
int libpq_personality(int version, int actions, uint64_t class, void *exception, void *context)
    __attribute__((visibility("hidden")));

/* Before the real call; one of the functions below must follow it. */
struct libpq_span libpq_enter(uint16_t hook, const struct libpq_call *call, const void *frame);
/* Before a call on `conn` that sends the statement `text` (NULL: that of `name`). */
void libpq_sends(struct libpq_span *span, const PGconn *conn, const char *text, const char *name, struct sql_parameters parameters);
/* After a call that made `conn` (NULL: out of memory). */
void libpq_connected(struct libpq_span *span, PGconn *conn);
/* After a call on `conn` that returned `result`. */
void libpq_executed(struct libpq_span *span, PGconn *conn, PGresult *result);
/* After any other call on `conn`. */
void libpq_used(struct libpq_span *span, PGconn *conn);
/* After a call that made something else, of `resource`. */
void libpq_made(struct libpq_span *span, uint8_t resource, const void *handle);
/* After a call on something that is no connection. */
void libpq_timed(struct libpq_span *span, uint8_t resource, uint64_t handle);

/* Before `handle` is released by the call that is returned; libpq_leave() must follow it. */
struct libpq_call libpq_release(uint16_t hook, const char *name, uint8_t resource, const void *handle, const void *frame);
void libpq_leave(void);

#endif
