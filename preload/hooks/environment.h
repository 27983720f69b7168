/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The environment of a program about to be executed: ours added where the caller's leaves it out, so that the trace
 * follows. Works in the caller's own memory, for a vfork child must not touch anything else; async-signal-safe, as exec is.
 */
#ifndef STRAY_PRELOAD_HOOKS_ENVIRONMENT_H
#define STRAY_PRELOAD_HOOKS_ENVIRONMENT_H

#include <stdbool.h>

#include "text.h"

/* Whether it can be read, as the functions below do. Else the kernel will refuse it, and that is the program's to hear; so it is
 * where that cannot be told. Asks the kernel. */
bool environment_is_there(char *const *environment);

/* Entries that environment_patch() may need. */
unsigned environment_room(char *const *environment);
/* Bytes of text that it may need. Exact, for the caller's stack may be small. */
size_t environment_text_room(char *const *environment);

/* Fills `patched` (of environment_room() entries) and `store` (of environment_text_room() bytes, to stand until the exec)
 * and returns `patched`; returns `environment` itself when the program is not
 * traced or children are not to be followed. */
char *const *environment_patch(struct text *store, char **patched, char *const *environment);

#endif
