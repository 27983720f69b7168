/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of a thread at its end has been told once the kernel knows it no more: a sleep may be too short on a busy machine. */
#ifndef TARGETS_ALONE_H
#define TARGETS_ALONE_H

#include "expect.h"

#include <sys/stat.h>

/* Returns when the process has one thread. The links of this folder are its threads and two. */
static inline void until_alone(void)
{
    struct stat task;
    do {
        usleep(100);
        MUST(stat("/proc/self/task", &task) == 0);
    } while (task.st_nlink > 3);
}

#endif
