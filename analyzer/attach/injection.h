/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread of our own in another process, which calls functions there on demand. One of the process's threads is stopped for the moment
 * in which it is made; from then on all runs on the new thread, and nothing of the program waits. When this process ends, however it
 * ends, the thread takes all that was brought and goes. Where this process stands still for seconds amid its work, the thread goes as well;
 * what was brought then stays where it is, and no call is answered any more.
 */
#ifndef STRAY_ATTACH_INJECTION_H
#define STRAY_ATTACH_INJECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/target_libc.h"
#include "error.h"

struct injection {
    pid_t pid;
    int process; /* pidfd */
    int memory;
    int socket;  /* -1: there is none yet, or */
    bool polled; /* the process cannot have one, */
    int why;     /* with this error */
    struct target_libc libc; /* its object: no longer there */
    pid_t thread; /* the one that was made; 0: unknown */
    uint64_t desk;
    uint64_t room, room_size; /* memory in the target that arguments may be put in */
    uint64_t stall_ns;        /* for how long one thread stood still, at most */
};

/* Makes the thread. 0; or a negative errno, and the process is as it was: -ESRCH: it has ended; -EBUSY: no safe moment came;
 * -ENOTSUP, -EPERM ... */
int injection_begin(pid_t pid, struct injection *ret_injection, struct error *error);
/* Lets the thread go, and waits until it has. */
void injection_end(struct injection *injection);

/* Calls `function` there with up to six arguments. 0, or a negative errno: -ESRCH: the process has ended; -ETIMEDOUT. */
int injection_call(struct injection *injection, uint64_t function, const uint64_t arguments[6], uint64_t *ret_result,
                   struct error *error);
/* What is answered to a call that has timed out, within a second, or as much time as a call has; false: nothing. */
bool injection_late_answer(struct injection *injection, bool patient, uint64_t *ret_result);
/* Gives the process `count` (at most 8) descriptors, under the numbers ret_numbers[]; they are close-on-exec. All or none: -EMFILE. */
int injection_give(struct injection *injection, const int *descriptors, size_t count, int *ret_numbers, struct error *error);
/* Closes there what was given. */
void injection_take_back(struct injection *injection, const int *numbers, size_t count);
/* Puts bytes into the room, at `offset`; *ret_address: where they are there. -E2BIG: there is too little. */
int injection_put(struct injection *injection, size_t offset, const void *bytes, size_t size, uint64_t *ret_address,
                  struct error *error);

#endif
