/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/large_objects.h"

#include <errno.h>

#include "hooks/libpq.h"

#define OBJECTS       1024u /* open at one time; what is beyond is not recorded */
#define DESCRIPTORS   0x10000
#define CONN_BITS     48 /* of an address */
#define STATUS_IDLE   0  /* of PGTransactionStatusType */
#define STATUS_BROKEN 4

static uint64_t objects[OBJECTS]; /* handles; 0: free */
static uint32_t count;

/* The connection, and the number that the server gave to the object, in one word. */
static uint64_t handle_of_object(uint64_t conn, int fd)
{
    return conn | (uint64_t)(unsigned)fd << CONN_BITS;
}

static bool replace(uint64_t *place, uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(place, &from, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static bool remember(uint64_t handle)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (!__atomic_load_n(&objects[i], __ATOMIC_RELAXED) && replace(&objects[i], 0, handle)) {
            __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
            return true;
        }
    }
    return false;
}

static bool forget(uint64_t *place, uint64_t handle)
{
    if (!replace(place, handle, 0))
        return false;
    __atomic_sub_fetch(&count, 1, __ATOMIC_RELAXED);
    return true;
}

static bool forget_one(uint64_t handle)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        if (__atomic_load_n(&objects[i], __ATOMIC_RELAXED) == handle && forget(&objects[i], handle))
            return true;
    return false;
}

void large_objects_end(uint64_t conn, uint16_t hook, uint64_t time)
{
    for (unsigned i = 0; i < OBJECTS && __atomic_load_n(&count, __ATOMIC_RELAXED); i++) {
        uint64_t handle = __atomic_load_n(&objects[i], __ATOMIC_RELAXED);
        if (handle && (handle & ((UINT64_C(1) << CONN_BITS) - 1)) == conn && forget(&objects[i], handle))
            emit_at(time, STRAY_IMPLICIT, STRAY_LARGE_OBJECT, hook, handle, 0, 0);
    }
}

void large_objects_settle(const struct libpq *libpq, const PGconn *conn, uint16_t hook)
{
    if (LIKELY(!__atomic_load_n(&count, __ATOMIC_RELAXED)) || !libpq->PQtransactionStatus)
        return;
    int status = libpq->PQtransactionStatus(conn);
    if (status == STATUS_IDLE || status == STATUS_BROKEN)
        large_objects_end(handle_of(conn), hook, clock_after());
}

int stray_hook_lo_open(PGconn *conn, unsigned int object, int mode)
{
    LIBPQ_UNWINDS();
    struct libpq_call call = real_libpq(STRAY_HOOK_lo_open, "lo_open", CALLER());
    if (UNLIKELY(!call.function))
        return -1;
    struct libpq_span span = libpq_enter(STRAY_HOOK_lo_open, &call, FRAME());
    int fd = ((int (*)(PGconn *, unsigned int, int))call.function)(conn, object, mode);
    int kept = errno;
    uint64_t handle = handle_of_object(handle_of(conn), fd);
    if (span.recorded && fd >= 0 && fd < DESCRIPTORS && remember(handle))
        emit_now(STRAY_OPEN, STRAY_LARGE_OBJECT, span.hook, handle, 0, span.stack);
    libpq_used(&span, conn);
    errno = kept;
    return fd;
}

/* Nobody else gets the number before the server has answered, so it is recorded when it is known to have succeeded. */
int stray_hook_lo_close(PGconn *conn, int fd)
{
    LIBPQ_UNWINDS();
    struct libpq_call call = real_libpq(STRAY_HOOK_lo_close, "lo_close", CALLER());
    if (UNLIKELY(!call.function))
        return -1;
    struct libpq_span span = libpq_enter(STRAY_HOOK_lo_close, &call, FRAME());
    int result = ((int (*)(PGconn *, int))call.function)(conn, fd);
    int kept = errno;
    uint64_t handle = handle_of_object(handle_of(conn), fd);
    if (span.recorded && result >= 0 && forget_one(handle))
        emit_at(span.begin, STRAY_CLOSE, STRAY_LARGE_OBJECT, span.hook, handle, 0, 0);
    libpq_used(&span, conn);
    errno = kept;
    return result;
}
