/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hooks/sandbox.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "hooks/wrap.h"
#include "record/defs.h"
#include "state/sandbox.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#    define PR_SET_SYSCALL_USER_DISPATCH 59
#    define PR_SYS_DISPATCH_OFF          0
#endif

static void prctl_begins(const long arguments[5])
{
    long option = arguments[0], mode = arguments[1], program = arguments[2];
    if (option == PR_SET_SECCOMP && mode == SECCOMP_MODE_FILTER)
        sandbox_filter(0, (const void *)program);
    else if (option == PR_SET_SECCOMP && mode == SECCOMP_MODE_STRICT)
        sandbox_strict();
    else if (option == PR_SET_SYSCALL_USER_DISPATCH && mode != PR_SYS_DISPATCH_OFF)
        sandbox_dispatch(mode, arguments[2], arguments[3], arguments[4]);
}

static void seccomp_begins(long operation, long flags, long program)
{
    if (operation == SECCOMP_SET_MODE_FILTER)
        sandbox_filter((unsigned)flags, (const void *)program);
    else if (operation == SECCOMP_SET_MODE_STRICT && flags == 0 && program == 0) /* else it is a test of what the kernel knows */
        sandbox_strict();
}

/* What a ring does is done by the kernel: neither calls nor descriptors of it are seen. */
static void ring_begins(void)
{
    if (gate_open(GATE_TRACED))
        defs_string(STRAY_DEF_NOTE, "io_uring is used: what is opened, accepted, connected and closed through it is not seen");
}

void raw_call_begins(long number, const long arguments[6])
{
    int kept = errno;
    if (number == SYS_seccomp)
        seccomp_begins(arguments[0], arguments[1], arguments[2]);
    else if (number == SYS_prctl)
        prctl_begins(arguments);
    else if (number == SYS_io_uring_setup)
        ring_begins();
    errno = kept;
}

/* Of each option at most four arguments are looked at; all are handed on. */
int stray_hook_prctl(int option, ...)
{
    va_list arguments;
    long a[6] = {option};
    va_start(arguments, option);
    for (unsigned i = 1; i < 5; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    raw_call_begins(SYS_prctl, a);
    return REAL(prctl)(option, a[1], a[2], a[3], a[4]);
}

/* ---- liburing ---- */

/* Its system calls are made by its own code. Failure for where the caller's liburing is too old to have the function. */
#define RING(name, params, args)                                                                              \
    int stray_hook_##name params                                                                              \
    {                                                                                                         \
        struct libpq_call call = real_libpq(STRAY_HOOK_##name, #name, CALLER());                              \
        if (UNLIKELY(!call.function))                                                                         \
            return -ENOSYS;                                                                                   \
        ring_begins();                                                                                        \
        return ((int(*) params)call.function)args;                                                            \
    }
RING(io_uring_queue_init, (unsigned entries, struct io_uring *ring, unsigned flags), (entries, ring, flags))
RING(io_uring_queue_init_params, (unsigned entries, struct io_uring *ring, struct io_uring_params *params), (entries, ring, params))
RING(io_uring_setup, (unsigned entries, struct io_uring_params *params), (entries, params))
