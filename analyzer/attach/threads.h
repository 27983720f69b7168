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

#endif
