/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads of another process. */
#ifndef STRAY_ATTACH_THREADS_H
#define STRAY_ATTACH_THREADS_H

#include <stddef.h>
#include <sys/types.h>

struct threads {
    pid_t *ids; /* those that wait in a system call first: they are less disturbed, and mostly at a safe point */
    size_t count;
    size_t all; /* with those that cannot be stopped now */
};

/* 0, or a negative errno; -ESRCH: the process is gone. */
int threads_read(pid_t pid, struct threads *ret_threads);
void threads_free(struct threads *threads);

/* The thread of `pid` that calls itself `own`: in a container it has another number than here. 0: there is none. */
pid_t threads_find(pid_t pid, pid_t own);

#endif
