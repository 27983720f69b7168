/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/libpq.h"

#include <errno.h>

#include "hooks/large_objects.h"
#include "hooks/libpq_met.h"
#include "hooks/sampled_heap.h"
#include "hooks/waiting.h"
#include "record/defs.h"
#include "record/young.h"
#include "text.h"

#define CONNECTION_OK 0 /* of ConnStatusType */
#define POLLING_OK    3 /* of PostgresPollingStatusType */
#define NAME_MAX_TEXT 256
#define AT_ONCE_PER_SECOND 1000 /* a call of less than a millisecond */

/* What is remembered by a call's number may be another thread's, now dead: so each thread takes a thousand numbers at a time. */
#define NUMBERS 1024u
static uint64_t numbers;

static uint64_t next_number(void)
{
    if (thread_self.libpq_calls % NUMBERS == 0)
        thread_self.libpq_calls = __atomic_fetch_add(&numbers, NUMBERS, __ATOMIC_RELAXED);
    return arch_next(&thread_self.libpq_calls) + 1;
}

/* Whether a call is one that the program made, of a libpq: lo_open() and the like may be another library's. */
static bool is_outermost(const struct libpq_call *call, const void *frame)
{
    if (!gate_inside_libpq((uintptr_t)frame)) {
        thread_self.libpq_call = next_number();
        young_time_passes();
        thread_self.libpq_frame = (uintptr_t)frame;
    } else if (!call->inner) { /* made by what libpq has called back */
        thread_self.libpq_call = 0;
    }
    return thread_self.libpq_depth++ == 0 && !call->inner && call->libpq->PQstatus && gate_open(GATE_TRACED);
}

/* Before the call, for what is acquired beneath it has that stack, too. */
static uint32_t stack_of_call(const struct libpq_call *call, const void *frame)
{
    int kept = errno;
    emit_ready();
    uint32_t stack = capture_libpq(frame, call->function);
    errno = kept;
    return stack;
}

struct libpq_span libpq_enter(uint16_t hook, const struct libpq_call *call, const void *frame)
{
    struct libpq_span span = {.libpq = call->libpq, .hook = hook};
    span.recorded = is_outermost(call, frame);
    if (span.recorded) {
        span.stack = stack_of_call(call, frame);
        span.begin = clock_before();
    }
    return span;
}

/* The call may have been given up meanwhile: by one further out on another stack, of a handler or a coroutine. */
void libpq_leave(void)
{
    if (thread_self.libpq_depth > 0 && --thread_self.libpq_depth == 0)
        thread_self.familiar = thread_self.stacks;
}

#define CLEANUP_PHASE   2 /* of _Unwind_Action */
#define CONTINUE_UNWIND 8 /* of _Unwind_Reason_Code */

/* Called by the unwinder for each hook that it takes away. It asks for nothing, so that any unwinder will do. */
int libpq_personality(int version, int actions, uint64_t class, void *exception, void *context)
{
    if (actions & CLEANUP_PHASE)
        libpq_leave();
    return CONTINUE_UNWIND;
}

static void put_part(struct text *text, const char *before, char *(*get)(const PGconn *), const PGconn *conn)
{
    const char *part = get ? get(conn) : NULL;
    if (!part || !part[0])
        return;
    text_string(text, before);
    text_bytes(text, part, string_length(part) < NAME_MAX_TEXT ? string_length(part) : NAME_MAX_TEXT);
}

/* What is told now, but after an event of `time` that this thread has told. */
static uint64_t now_after(uint64_t time)
{
    uint64_t now = clock_after(), next = clock_next(time);
    return now > next ? now : next;
}

/* "host:port/database user": where to, and as whom; never how. */
static void emit_database(const struct libpq *libpq, const PGconn *conn, uint64_t time)
{
    char buffer[4 * NAME_MAX_TEXT + 16];
    struct text text = TEXT(buffer);
    buffer[0] = 0;
    put_part(&text, "", libpq->PQhost, conn);
    put_part(&text, ":", libpq->PQport, conn);
    put_part(&text, "/", libpq->PQdb, conn);
    put_part(&text, " ", libpq->PQuser, conn);
    emit_at(time, STRAY_ENDPOINT, STRAY_PGCONN, 0, handle_of(conn), defs_string(STRAY_DEF_DATABASE, buffer), 0);
}

static void emit_link(const struct libpq *libpq, const PGconn *conn, uint64_t time)
{
    int fd = libpq->PQsocket ? libpq->PQsocket(conn) : -1;
    emit_at(time, STRAY_LINK, STRAY_PGCONN, 0, handle_of(conn), fd >= 0 ? (uint64_t)fd : UINT64_MAX, 0);
}

/* One that was there before anything was recorded. */
static void meet(const struct libpq *libpq, const PGconn *conn)
{
    if (LIKELY(!libpq_met_first(conn)))
        return;
    uint64_t now = clock_after();
    emit_link(libpq, conn, now);
    emit_database(libpq, conn, now_after(now));
}

/* After an attempt to connect that is over. */
static void emit_outcome(const struct libpq *libpq, uint16_t hook, const PGconn *conn, uint64_t time)
{
    uint64_t then = now_after(time);
    emit_link(libpq, conn, time);
    emit_database(libpq, conn, then);
    if (libpq->PQstatus && libpq->PQstatus(conn) != CONNECTION_OK)
        emit_at(now_after(then), STRAY_FAILED, STRAY_PGCONN, hook, handle_of(conn), 0, 0);
}

static bool only_begins(uint16_t hook)
{
    return hook == STRAY_HOOK_PQconnectStart || hook == STRAY_HOOK_PQconnectStartParams;
}

void libpq_connected(struct libpq_span *span, PGconn *conn)
{
    int kept = errno;
    if (span->recorded && conn) {
        uint64_t now = clock_after(), next = clock_next(now);
        libpq_met_first(conn);
        __atomic_store_n(&awaiting_matters, 1, __ATOMIC_RELAXED);
        emit_at(now, STRAY_OPEN, STRAY_PGCONN, span->hook, handle_of(conn), 0, span->stack);
        emit_at(next, STRAY_DURATION, STRAY_PGCONN, span->hook, handle_of(conn), now - span->begin, 0);
        if (only_begins(span->hook))
            emit_link(span->libpq, conn, now_after(next));
        else
            emit_outcome(span->libpq, span->hook, conn, now_after(next));
    }
    libpq_leave();
    errno = kept;
}

static void emit_use(const struct libpq_span *span, PGconn *conn, uint32_t stack, uint64_t now)
{
    if (!conn)
        return;
    meet(span->libpq, conn);
    emit_at(now, STRAY_USE, STRAY_PGCONN, span->hook, handle_of(conn), now - span->begin, stack);
    large_objects_settle(span->libpq, conn, span->hook);
}

/* The call, and the result it gave: one event if how long it took is known from the statement, or does not matter. */
static void emit_answer(const struct libpq_span *span, PGconn *conn, PGresult *result, size_t size, uint32_t stack, uint64_t now)
{
    if (!conn)
        return;
    meet(span->libpq, conn);
    uint64_t value = statements_result(span->libpq, conn, result, size);
    bool at_once = now - span->begin < clock_ticks_per_second / AT_ONCE_PER_SECOND;
    if (span->sent || at_once) {
        emit_at(now, span->sent ? STRAY_ANSWERED : STRAY_AT_ONCE, STRAY_PGCONN, span->hook, handle_of(conn), value, stack);
        large_objects_settle(span->libpq, conn, span->hook);
    } else {
        emit_at(now, STRAY_RESULT, STRAY_PGCONN, span->hook, handle_of(conn), value, 0);
        emit_use(span, conn, stack, clock_next(now));
    }
}

void libpq_sends(struct libpq_span *span, const PGconn *conn, const char *text, const char *name, struct sql_parameters parameters)
{
    int kept = errno;
    if (span->recorded && conn && (text || name)) {
        struct sql_call call = {text, name, parameters, span->libpq, conn, span->stack, span->hook};
        span->begin = statements_sent(&call);
        span->sent = true;
    }
    errno = kept;
}

void libpq_executed(struct libpq_span *span, PGconn *conn, PGresult *result)
{
    int kept = errno;
    if (span->recorded) {
        uint64_t now = clock_after();
        size_t size = result && span->libpq->PQresultMemorySize ? span->libpq->PQresultMemorySize(result) : 0;
        emit_answer(span, conn, result, size, span->stack, now);
        struct stray_event made = {now + 2, handle_of(result), size, span->stack, span->hook, STRAY_OPEN, STRAY_PGRESULT};
        if (result)
            emit_acquire(&made);
    }
    libpq_leave();
    errno = kept;
}

void libpq_used(struct libpq_span *span, PGconn *conn)
{
    int kept = errno;
    if (span->recorded)
        emit_use(span, conn, span->stack, clock_after());
    libpq_leave();
    errno = kept;
}

/* Many programs give libpq's strings to free(), which does the same. It must not be taken for one half of a block's short
 * life, or nobody would learn of it. */
static void watch_free(uint8_t resource, const void *handle)
{
    if (resource != STRAY_PGSTRING)
        return;
    young_outdate(handle_of(handle), clock_after());
    sampled_heap_watch(handle);
}

void libpq_made(struct libpq_span *span, uint8_t resource, const void *handle)
{
    int kept = errno;
    if (span->recorded && handle) {
        note_finalizing();
        emit_now(STRAY_OPEN, resource, span->hook, handle_of(handle), 0, span->stack);
        watch_free(resource, handle);
    }
    libpq_leave();
    errno = kept;
}

void libpq_timed(struct libpq_span *span, uint8_t resource, uint64_t handle)
{
    int kept = errno;
    if (span->recorded) {
        uint64_t now = clock_after();
        emit_at(now, STRAY_USE, resource, span->hook, handle, now - span->begin, span->stack);
    }
    libpq_leave();
    errno = kept;
}

/* Recorded before the call; of a connection, with who made it. */
static void record_release(struct stray_event *event, const struct libpq_call *call, const void *frame)
{
    note_finalizing();
    if (event->resource == STRAY_PGRESULT) {
        emit_release(event);
        return;
    }
    if (event->resource == STRAY_PGCONN) {
        event->stack = stack_of_call(call, frame);
        libpq_met_last((const PGconn *)(uintptr_t)event->handle);
        large_objects_end(event->handle, event->hook, event->time);
    }
    emit(event);
}

struct libpq_call libpq_release(uint16_t hook, const char *name, uint8_t resource, const void *handle, const void *frame)
{
    struct libpq_call call = real_libpq(hook, name, caller_of(frame));
    int kept = errno;
    if (is_outermost(&call, frame) && handle) {
        struct stray_event event = {clock_before(), handle_of(handle), 0, 0, hook, STRAY_CLOSE, resource};
        record_release(&event, &call, frame);
    }
    errno = kept;
    return call;
}

int stray_hook_PQgetCopyData(PGconn *conn, char **buffer, int async)
{
    LIBPQ_UNWINDS();
    struct libpq_call call = real_libpq(STRAY_HOOK_PQgetCopyData, "PQgetCopyData", CALLER());
    if (UNLIKELY(!call.function))
        return -2;
    struct libpq_span span = libpq_enter(STRAY_HOOK_PQgetCopyData, &call, FRAME());
    int result = ((int (*)(PGconn *, char **, int))call.function)(conn, buffer, async);
    int kept = errno;
    if (span.recorded)
        emit_use(&span, conn, span.stack, clock_after());
    libpq_made(&span, STRAY_PGSTRING, result > 0 ? *buffer : NULL);
    errno = kept;
    return result;
}

/* The socket is known, or another one, once polling says that the connection stands. */
static int poll_with(uint16_t hook, const char *name, PGconn *conn, const void *frame)
{
    LIBPQ_UNWINDS();
    struct libpq_call call = real_libpq(hook, name, caller_of(frame));
    if (UNLIKELY(!call.function))
        return 0;
    struct libpq_span span = libpq_enter(hook, &call, frame);
    int status = ((int (*)(PGconn *))call.function)(conn);
    int kept = errno;
    if (span.recorded && conn && (status == POLLING_OK || status == 0))
        emit_outcome(call.libpq, hook, conn, clock_after());
    libpq_leave();
    errno = kept;
    return status;
}

int stray_hook_PQconnectPoll(PGconn *conn)
{
    int status = poll_with(STRAY_HOOK_PQconnectPoll, "PQconnectPoll", conn, FRAME());
    STAY();
    return status;
}

int stray_hook_PQresetPoll(PGconn *conn)
{
    int status = poll_with(STRAY_HOOK_PQresetPoll, "PQresetPoll", conn, FRAME());
    STAY();
    return status;
}

void stray_hook_PQreset(PGconn *conn)
{
    LIBPQ_UNWINDS();
    struct libpq_call call = real_libpq(STRAY_HOOK_PQreset, "PQreset", CALLER());
    if (UNLIKELY(!call.function))
        return;
    struct libpq_span span = libpq_enter(STRAY_HOOK_PQreset, &call, FRAME());
    ((void (*)(PGconn *))call.function)(conn);
    int kept = errno;
    if (span.recorded && conn) {
        uint64_t now = clock_after();
        emit_use(&span, conn, span.stack, now);
        emit_outcome(call.libpq, span.hook, conn, now_after(now));
    }
    libpq_leave();
    errno = kept;
}
