/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking for functions, and loading what brings them. The entry points themselves are in assembly: see arch_x86_64.S. Any thread; not in a
 * signal handler, no more than dlopen() and dlsym() are.
 */
#ifndef STRAY_PRELOAD_HOOKS_LOADING_H
#define STRAY_PRELOAD_HOOKS_LOADING_H

/* What an entry point does: becomes `jump`, or, where that is NULL, returns `result`. */
struct loading_answer {
    void *jump, *result;
};

/* What dlopen(), dlsym() and dlvsym() were called with; `caller` is the return address, by which RTLD_NEXT and the caller's own libraries
 * are found. */
struct loading_answer loading_dlopen(const char *path, unsigned long mode);
struct loading_answer loading_dlsym(void *object, const char *name, const void *caller);
struct loading_answer loading_dlvsym(void *object, const char *name, const void *caller, const char *version);

#endif
