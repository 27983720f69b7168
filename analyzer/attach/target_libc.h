/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's libc: which it is, and what of it is called. */
#ifndef STRAY_ATTACH_TARGET_LIBC_H
#define STRAY_ATTACH_TARGET_LIBC_H

#include "attach/target_symbols.h"
#include "error.h"

struct target_libc {
    const struct object *object;
    /* Addresses of functions, and of a system call instruction. */
    uint64_t pthread_create, pthread_detach, munmap, dlopen, dlerror, open, close, call;
    uint64_t single_threaded; /* of the variable that says so; 0: there is none */
};

/* Finds it: 0; -ENOTSUP with what is in the way (another libc, one too old, none at all). */
int target_libc_find(pid_t pid, const struct objects *objects, struct target_libc *ret_libc, struct error *error);

#endif
