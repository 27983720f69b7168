/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hooks by their names. Thread and signal safe. */
#ifndef STRAY_PRELOAD_HOOKS_BY_NAME_H
#define STRAY_PRELOAD_HOOKS_BY_NAME_H

#include <stdbool.h>

struct hook_name {
    const char *name;
    void *function; /* the hook */
    void *const *real; /* libc's function, once real_init() has found it */
    bool libpq, liburing; /* its function, not libc's: `real` stays NULL */
};

/* NULL: no function of that name is hooked. */
const struct hook_name *hook_named(const char *name);

#endif
