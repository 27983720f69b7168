/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdarg.h>

#include "hooks/traffic.h"
#include "record/file.h"
#include "state/descriptors.h"
#include "state/incarnation.h"

bool may_record(void)
{
    return gate_open(GATE_TRACED) && incarnation_seems_self();
}

void descriptor_made(uint16_t hook, uint8_t resource, int fd, const void *frame)
{
    if (fd < 0 || !may_record())
        return;
    int kept = errno;
    if (descriptors_opened(fd, resource, PHASE_PLAIN, 0))
        emit_now(STRAY_OPEN, resource, hook, handle_of_descriptor(fd), 0, capture_caller(frame));
    errno = kept;
}

int stray_hook_socket(int domain, int type, int protocol)
{
    int fd = REAL(socket)(domain, type, protocol);
    descriptor_made(STRAY_HOOK_socket, STRAY_SOCKET, fd, FRAME());
    return fd;
}

int stray_hook_socketpair(int domain, int type, int protocol, int pair[2])
{
    int result = REAL(socketpair)(domain, type, protocol, pair);
    if (result == 0) {
        descriptor_made(STRAY_HOOK_socketpair, STRAY_SOCKET, pair[0], FRAME());
        descriptor_made(STRAY_HOOK_socketpair, STRAY_SOCKET, pair[1], FRAME());
    }
    return result;
}

static void connected(int fd, uint32_t endpoint, uint64_t begin, uint64_t now, const void *frame)
{
    struct descriptor *descriptor = descriptors_tracked(fd);
    if (!descriptor && !descriptors_opened(fd, STRAY_CONNECTION, PHASE_CONNECTED, endpoint))
        return;
    if (descriptor) {
        descriptor->resource = STRAY_CONNECTION;
        descriptor->phase = PHASE_CONNECTED;
        descriptor->endpoint = endpoint;
    }
    emit_at(now, STRAY_CONNECTED, STRAY_CONNECTION, STRAY_HOOK_connect, handle_of_descriptor(fd), endpoint, capture_caller(frame));
    emit_at(clock_next(now), STRAY_DURATION, STRAY_CONNECTION, STRAY_HOOK_connect, handle_of_descriptor(fd), now - begin, 0);
}

/* How a pending connect ends is learnt from SO_ERROR as the program reads it, or by asking for the peer. */
static void connecting(int fd, uint32_t endpoint, uint64_t now, const void *frame)
{
    if (!descriptors_tracked(fd) && !descriptors_opened(fd, STRAY_SOCKET, PHASE_PLAIN, 0))
        return;
    struct descriptor *descriptor = descriptors_at(fd);
    descriptor->phase = PHASE_CONNECTING;
    descriptor->endpoint = endpoint;
    emit_at(now, STRAY_CONNECTING, STRAY_SOCKET, STRAY_HOOK_connect, handle_of_descriptor(fd), endpoint, capture_caller(frame));
}

static bool is_under_way(int error)
{
    return error == EINPROGRESS || error == EINTR || error == EISCONN || error == EALREADY;
}

static void record_connect(int fd, const struct sockaddr *address, socklen_t length, int result, int error, uint64_t begin,
                           const void *frame)
{
    uint64_t now = clock_after();
    if (result == 0)
        connected(fd, descriptors_endpoint(address, length), begin, now, frame);
    else if (error == EINPROGRESS || error == EINTR)
        connecting(fd, descriptors_endpoint(address, length), now, frame);
    else if (is_under_way(error))
        descriptors_settle(fd);
    else if (descriptors_tracked(fd))
        emit_at(now, STRAY_REFUSED, STRAY_SOCKET, STRAY_HOOK_connect, handle_of_descriptor(fd), (uint64_t)error, 0);
}

/* Of a call that was refused the kernel may not have read the address either, and there may be nothing. */
static bool know_family(const struct sockaddr *address, socklen_t length, int result, int error, sa_family_t *ret_family)
{
    if (!address || length < sizeof(address->sa_family))
        return false;
    if (result != 0 && !is_under_way(error))
        return sys_peek(ret_family, &address->sa_family, sizeof(*ret_family)) == (ssize_t)sizeof(*ret_family);
    *ret_family = address->sa_family;
    return true;
}

/* AF_UNSPEC takes an association back. The descriptor stays what it was, until it is connected anew. */
static void disconnected(int fd)
{
    struct descriptor *descriptor = descriptors_tracked(fd);
    if (descriptor)
        descriptor->phase = PHASE_PLAIN;
}

int stray_hook_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    uint64_t begin = clock_before(), kept_since = waiting_often() ? begin : 0;
    waiting_inside_libpq();
    int result = REAL(connect)(fd, address, length);
    int error = errno;
    sa_family_t family;
    /* A pending connect that ended well answers a second call with 0. */
    if (may_record() && know_family(address, length, result, error, &family)) {
        if (family != AF_UNSPEC)
            record_connect(fd, address, length, result, error, begin, FRAME());
        else if (result == 0)
            disconnected(fd);
    }
    errno = error;
    traffic_kept(STRAY_HOOK_connect, fd, kept_since, CALLER());
    return result;
}

void descriptor_accepted(uint16_t hook, int listener, int fd, const void *frame)
{
    if (fd < 0 || !may_record())
        return;
    int kept = errno;
    struct descriptor *server = descriptors_tracked(listener);
    uint32_t endpoint = server ? server->endpoint : 0;
    if (endpoint == 0)
        endpoint = descriptors_local_endpoint(listener);
    if (server)
        server->endpoint = endpoint;
    if (descriptors_opened(fd, STRAY_CONNECTION, PHASE_CONNECTED, endpoint)) {
        descriptors_at(fd)->accepted = true;
        emit_now(STRAY_OPEN, STRAY_CONNECTION, hook, handle_of_descriptor(fd), endpoint, capture_caller(frame));
    }
    errno = kept;
}

int stray_hook_accept(int fd, struct sockaddr *address, socklen_t *length)
{
    int result = REAL(accept)(fd, address, length);
    descriptor_accepted(STRAY_HOOK_accept, fd, result, FRAME());
    return result;
}

int stray_hook_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    int result = REAL(accept4)(fd, address, length, flags);
    descriptor_accepted(STRAY_HOOK_accept4, fd, result, FRAME());
    return result;
}

struct closing before_close(int fd)
{
    struct closing closing = {.fd = fd};
    struct descriptor *descriptor = descriptors_tracked(fd);
    if (!descriptor || !may_record())
        return closing;
    note_finalizing();
    descriptors_settle(fd);
    if (descriptor->resource != STRAY_FILE) /* of one that is closed nobody asks how it was used */
        descriptors_closing(fd, descriptor);
    closing.row = *descriptor;
    closing.time = clock_before();
    __atomic_store_n(&descriptor->resource, 0, __ATOMIC_RELEASE);
    return closing;
}

void after_close(const struct closing *closing, uint16_t hook, int result, const void *frame)
{
    if (closing->row.resource == 0 || (result != 0 && errno == EBADF))
        return;
    int kept = errno;
    emit_at(closing->time, STRAY_CLOSE, closing->row.resource, hook, handle_of_descriptor(closing->fd), 0, capture_caller(frame));
    errno = kept;
}

bool descriptor_is_hidden(int fd)
{
    return file_is_kept(fd);
}

int refuse_hidden(void)
{
    errno = EBADF;
    return -1;
}

int stray_hook_close(int fd)
{
    if (descriptor_is_hidden(fd))
        return refuse_hidden();
    struct closing closing = before_close(fd);
    int result = REAL(close)(fd);
    after_close(&closing, STRAY_HOOK_close, result, FRAME());
    return result;
}

/* Of an original that no hook has seen (standard output, most often) only a socket's kind cannot be told. */
static struct descriptor kind_of(int fd, int copy)
{
    struct descriptor *tracked = descriptors_tracked(fd);
    if (tracked)
        return *tracked;
    return (struct descriptor){.resource = descriptors_is_socket(copy) ? STRAY_RESOURCE_NONE : STRAY_FILE};
}

/* A copy is an open of its own, of its original's kind. */
void descriptor_copied(uint16_t hook, int from, int to, const void *frame)
{
    if (to < 0 || !may_record())
        return;
    int kept = errno;
    struct descriptor original = kind_of(from, to);
    uint8_t resource = original.resource;
    if (resource != STRAY_RESOURCE_NONE && descriptors_opened(to, resource, original.phase, original.endpoint)) {
        descriptors_at(to)->accepted = original.accepted;
        descriptors_at(to)->shut = original.shut;
        emit_now(STRAY_DUP, resource, hook, handle_of_descriptor(to), handle_of_descriptor(from), capture_caller(frame));
    }
    errno = kept;
}

int stray_hook_dup(int fd)
{
    int copy = REAL(dup)(fd);
    descriptor_copied(STRAY_HOOK_dup, fd, copy, FRAME());
    return copy;
}

/* Before dup2 closes `target`. */
struct closing before_replace(int fd, int target)
{
    if (descriptor_is_hidden(target) && incarnation_is_self())
        file_make_way(target);
    return fd == target ? (struct closing){.fd = target} : before_close(target);
}

void implicitly_closed(const struct closing *closing, uint16_t hook, bool succeeded)
{
    if (closing->row.resource == 0)
        return;
    int kept = errno;
    if (!succeeded && descriptors_restore(closing->fd, &closing->row))
        return;
    emit_at(closing->time, STRAY_IMPLICIT, closing->row.resource, hook, handle_of_descriptor(closing->fd), 0, 0);
    errno = kept;
}

void after_replace(const struct closing *closing, uint16_t hook, int fd, int target, int result, const void *frame)
{
    implicitly_closed(closing, hook, result >= 0);
    if (result >= 0 && fd != target)
        descriptor_copied(hook, fd, target, frame);
}

int stray_hook_dup2(int fd, int target)
{
    struct closing closing = before_replace(fd, target);
    int result = REAL(dup2)(fd, target);
    after_replace(&closing, STRAY_HOOK_dup2, fd, target, result, FRAME());
    return result;
}

int stray_hook_dup3(int fd, int target, int flags)
{
    struct closing closing = before_replace(fd, target);
    int result = REAL(dup3)(fd, target, flags);
    after_replace(&closing, STRAY_HOOK_dup3, fd, target, result, FRAME());
    return result;
}

/* Every command's third argument fits a pointer; those that take none ignore it. */
int stray_hook_fcntl(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    int result = REAL(fcntl)(fd, command, argument);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
        descriptor_copied(STRAY_HOOK_fcntl, fd, result, FRAME());
    return result;
}

int stray_hook_fcntl64(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    int result = REAL(fcntl64)(fd, command, argument);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
        descriptor_copied(STRAY_HOOK_fcntl64, fd, result, FRAME());
    return result;
}

int stray_hook_shutdown(int fd, int how)
{
    int result = REAL(shutdown)(fd, how);
    struct descriptor *descriptor = result == 0 ? descriptors_tracked(fd) : NULL;
    if (!descriptor || !may_record())
        return result;
    descriptor->shut |= how != SHUT_WR;
    emit_now(STRAY_SHUTDOWN, descriptor->resource, STRAY_HOOK_shutdown, handle_of_descriptor(fd), (uint64_t)how, 0);
    return result;
}

/* A program that connects without blocking reads the outcome here. */
static void learn_outcome(int fd, int error)
{
    struct descriptor *descriptor = descriptors_tracked(fd);
    if (!descriptor || descriptor->phase != PHASE_CONNECTING || !may_record())
        return;
    if (error == 0) {
        descriptors_settle(fd);
        return;
    }
    descriptor->phase = PHASE_PLAIN;
    emit_now(STRAY_REFUSED, STRAY_SOCKET, STRAY_HOOK_getsockopt, handle_of_descriptor(fd), (uint64_t)error, 0);
}

int stray_hook_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    int result = REAL(getsockopt)(fd, level, name, value, length);
    if (result == 0 && level == SOL_SOCKET && name == SO_ERROR && *length >= sizeof(int))
        learn_outcome(fd, *(int *)value);
    return result;
}

/* The tracked ones of a range that was closed at one stroke. */
static void record_range(uint16_t hook, unsigned first, unsigned last, uint64_t time, const void *frame)
{
    uint32_t stack = 0;
    if (!may_record())
        return;
    for (unsigned fd = first; fd <= last && descriptors_at((int)fd); fd++) {
        struct descriptor *descriptor = descriptors_tracked((int)fd);
        if (!descriptor)
            continue;
        uint8_t resource = descriptor->resource;
        descriptor->resource = 0;
        stack = stack ? stack : capture_caller(frame);
        emit_at(time, STRAY_CLOSE, resource, hook, fd, 0, stack);
    }
}

/* Leaves out our own descriptor. */
static int close_range_around(unsigned first, unsigned last, int flags)
{
    int own = file_descriptor();
    if (!file_is_kept(own) || (unsigned)own < first || (unsigned)own > last || flags & ~(int)CLOSE_RANGE_CLOEXEC)
        return REAL(close_range)(first, last, flags);
    int below = (unsigned)own > first ? REAL(close_range)(first, (unsigned)own - 1, flags) : 0;
    int above = (unsigned)own < last ? REAL(close_range)((unsigned)own + 1, last, flags) : 0;
    return below != 0 ? below : above;
}

int descriptors_range_closed(uint16_t hook, unsigned first, unsigned last, int flags, const void *frame)
{
    uint64_t time = clock_before();
    int result = close_range_around(first, last, flags);
    int kept = errno;
    if (result == 0 && !(flags & CLOSE_RANGE_CLOEXEC))
        record_range(hook, first, last, time, frame);
    errno = kept;
    return result;
}

int stray_hook_close_range(unsigned int first, unsigned int last, int flags)
{
    int result = descriptors_range_closed(STRAY_HOOK_close_range, first, last, flags, FRAME());
    STAY();
    return result;
}

/* closefrom() never fails: where the system call is missing, libc closes one by one. */
void stray_hook_closefrom(int first)
{
    int own = file_descriptor();
    unsigned begin = first < 0 ? 0 : (unsigned)first;
    uint64_t time = clock_before();
    if (own < first || close_range_around(begin, ~0u, 0) != 0)
        REAL(closefrom)(first);
    int kept = errno;
    record_range(STRAY_HOOK_closefrom, begin, ~0u, time, FRAME());
    errno = kept;
}
