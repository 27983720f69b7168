/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* syscall(): libuv closes by number, and others open by number what libc has no function for. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "hooks/descriptors.h"
#include "hooks/sandbox.h"
#include "state/incarnation.h"

/* What a system call does with descriptors. */
enum effect { EFFECT_NONE, EFFECT_FILE, EFFECT_SOCKET, EFFECT_PIPE, EFFECT_PAIR, EFFECT_ACCEPT, EFFECT_COPY };

static enum effect effect_of(long number, const long *a)
{
    switch (number) {
    case SYS_open:
    case SYS_openat:
    case SYS_openat2:
    case SYS_open_by_handle_at:
    case SYS_creat:
    case SYS_eventfd:
    case SYS_eventfd2:
    case SYS_epoll_create:
    case SYS_epoll_create1:
    case SYS_timerfd_create:
    case SYS_memfd_create:
    case SYS_inotify_init:
    case SYS_inotify_init1:
    case SYS_fanotify_init:
    case SYS_userfaultfd:
    case SYS_perf_event_open:
    case SYS_pidfd_open:
    case SYS_io_uring_setup:
        return EFFECT_FILE;
    case SYS_signalfd:
    case SYS_signalfd4:
        return a[0] == -1 ? EFFECT_FILE : EFFECT_NONE;
    case SYS_socket:
        return EFFECT_SOCKET;
    case SYS_pipe:
    case SYS_pipe2:
        return EFFECT_PIPE;
    case SYS_socketpair:
        return EFFECT_PAIR;
    case SYS_accept:
    case SYS_accept4:
        return EFFECT_ACCEPT;
    case SYS_dup:
        return EFFECT_COPY;
    case SYS_fcntl:
        return a[1] == F_DUPFD || a[1] == F_DUPFD_CLOEXEC ? EFFECT_COPY : EFFECT_NONE;
    default:
        return EFFECT_NONE;
    }
}

static void record_pair(uint8_t resource, const int *pair, const void *frame)
{
    descriptor_made(STRAY_HOOK_syscall, resource, pair[0], frame);
    descriptor_made(STRAY_HOOK_syscall, resource, pair[1], frame);
}

/* A call that has succeeded. */
static void record(enum effect effect, const long *a, int result, const void *frame)
{
    switch (effect) {
    case EFFECT_FILE:
        descriptor_made(STRAY_HOOK_syscall, STRAY_FILE, result, frame);
        break;
    case EFFECT_SOCKET:
        descriptor_made(STRAY_HOOK_syscall, STRAY_SOCKET, result, frame);
        break;
    case EFFECT_PIPE:
        record_pair(STRAY_FILE, (const int *)a[0], frame);
        break;
    case EFFECT_PAIR:
        record_pair(STRAY_SOCKET, (const int *)a[3], frame);
        break;
    case EFFECT_ACCEPT:
        descriptor_accepted(STRAY_HOOK_syscall, (int)a[0], result, frame);
        break;
    case EFFECT_COPY:
        descriptor_copied(STRAY_HOOK_syscall, (int)a[0], result, frame);
        break;
    case EFFECT_NONE:
        break;
    }
}

static long closed(int fd, const void *frame)
{
    if (descriptor_is_hidden(fd))
        return refuse_hidden();
    struct closing closing = before_close(fd);
    long result = REAL(syscall)(SYS_close, fd);
    after_close(&closing, STRAY_HOOK_syscall, (int)result, frame);
    return result;
}

/* dup2() and dup3(); the latter refuses equal numbers, and dup2() then does nothing. */
static long replaced(long number, const long *a, const void *frame)
{
    struct closing closing = before_replace((int)a[0], (int)a[1]);
    long result = REAL(syscall)(number, a[0], a[1], a[2]);
    after_replace(&closing, STRAY_HOOK_syscall, (int)a[0], (int)a[1], (int)result, frame);
    return result;
}

static long done(long number, const long *a, const void *frame)
{
    if (number == SYS_close)
        return closed((int)a[0], frame);
    if (number == SYS_dup2 || number == SYS_dup3)
        return replaced(number, a, frame);
    if (number == SYS_close_range)
        return descriptors_range_closed(STRAY_HOOK_syscall, (unsigned)a[0], (unsigned)a[1], (int)a[2], frame);
    long result = REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    enum effect effect = result >= 0 ? effect_of(number, a) : EFFECT_NONE;
    if (effect != EFFECT_NONE)
        record(effect, a, (int)result, frame);
    return result;
}

/* All six arguments are handed on, whatever the call takes. */
long stray_hook_syscall(long number, ...)
{
    va_list arguments;
    long a[6];
    va_start(arguments, number);
    for (unsigned i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    raw_call_begins(number, a);
    if (UNLIKELY(number == SYS_clone || number == SYS_clone3 || number == SYS_vfork))
        incarnation_shares_memory();
    long result = done(number, a, FRAME());
    STAY();
    return result;
}
