/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tracing in another process, through an injected thread: the shim gets there, is told to begin, and to end. */
#ifndef STRAY_ATTACH_DELIVERY_H
#define STRAY_ATTACH_DELIVERY_H

#include <stddef.h>
#include <sys/types.h>

#include "error.h"

struct delivery {
    const char *shim;       /* path of the library */
    int trace, spool;       /* opened, empty */
    char *const *variables; /* NULL-ended "NAME=value", what the request says */
    double stall_s;         /* out: for how long one thread stood still */
};

/* Begins tracing. 0; -EALREADY: it is traced; -ESRCH: it has ended; or another negative errno. */
int delivery_begin(pid_t pid, struct delivery *delivery, struct error *error);

/* Ends it. 0: all stands in the trace; 1: some in the spool; -ENOENT: nothing of ours is in it; -ESRCH: it has ended, or was not traced any more. */
int delivery_end(pid_t pid, double *ret_stall_s, struct error *error);

#endif
