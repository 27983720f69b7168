/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hooks by their names. Thread and signal safe. */
#ifndef STRAY_PRELOAD_HOOKS_BY_NAME_H
#define STRAY_PRELOAD_HOOKS_BY_NAME_H

/* Whose function a hook stands for. */
enum hook_library {
    HOOK_OF_LIBC,
    HOOK_OF_LIBPQ, /* there may be several of it */
    HOOK_OF_OTHERS /* a library that may be loaded late, and that the hooks ask nothing about itself */
};

struct hook_name {
    const char *name;
    void *function; /* the hook */
    void *const *real; /* libc's function, once real_init() has found it; those of other libraries stay NULL */
    enum hook_library library;
};

/* NULL: no function of that name is hooked. */
const struct hook_name *hook_named(const char *name);

#endif
