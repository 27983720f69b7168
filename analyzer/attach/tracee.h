/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One stopped thread of another process, made to do things and put back as it was. No text is changed, its stack is not touched, no
 * signal reaches it meanwhile. Functions return 0 or a negative errno; -ESRCH: the thread is gone, and nothing needs to be undone.
 */
#ifndef STRAY_ATTACH_TRACEE_H
#define STRAY_ATTACH_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/arch.h"

struct tracee {
    pid_t pid, tid;
    struct user_regs_struct registers; /* as it was stopped */
    uint64_t mask;                     /* signals it blocked */
    uint64_t stopped_ns;               /* CLOCK_MONOTONIC */
    bool in_call;                      /* at, or in, a system call that it was made to make */
    bool runs;                         /* stopped nowhere, as far as is known */
};

/* Stops the thread `tid` of `pid`, alone. -EAGAIN: not now. -ETIMEDOUT: it sleeps where nothing can wake it; it is let go when
 * this process ends. -EPERM. */
int tracee_stop(pid_t pid, pid_t tid, struct tracee *ret_tracee);

/* Lets it make a system call, by the instruction at `at`. *ret_result: what the kernel returned. */
int tracee_call(struct tracee *tracee, uint64_t at, long number, const uint64_t arguments[6], int64_t *ret_result);

/* Lets it run `function` on the stack that ends at `stack`, until what that returned stands in the desk. `memory` is the process's. */
int tracee_function(struct tracee *tracee, uint64_t function, const uint64_t arguments[4], uint64_t stack, int memory, uint64_t desk,
                    int32_t *ret_result);

/* Lets it make the raw clone of the stub. *ret_result: the child's thread id, or a negative errno. */
int tracee_clone(struct tracee *tracee, uint64_t at, const uint64_t arguments[5], uint64_t desk, int64_t *ret_result);

/* Puts it back and lets it go. *ret_stall_ns: how long it stood still. */
int tracee_release(struct tracee *tracee, uint64_t *ret_stall_ns);

#endif
