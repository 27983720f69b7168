/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The environment of a program about to be executed: ours added where the caller's leaves it out, so that the trace
 * follows. Works in the caller's own memory, for a vfork child must not touch anything else.
 */
#ifndef STRAY_PRELOAD_HOOKS_ENVIRONMENT_H
#define STRAY_PRELOAD_HOOKS_ENVIRONMENT_H

#include <limits.h>

/* Where the added variables' text stands until the exec. */
struct environment_store {
    char preload[2 * PATH_MAX];
    char previous[PATH_MAX + 96];
};

/* Entries that environment_patch() may need. */
unsigned environment_room(char *const *environment);

/* Fills `patched` (of environment_room() entries) and returns it; returns `environment` itself when the program is not
 * traced or children are not to be followed. */
char *const *environment_patch(struct environment_store *store, char **patched, char *const *environment);

#endif
