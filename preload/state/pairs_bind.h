/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts the entries for the user's functions (pairs.h) where a preloaded library finds their callers: names that are chosen at
 * run time cannot be exported. The slots of each loaded object are turned, and what is looked for by name is answered with
 * the entry. Not signal safe; to be called with the tracer's own calls let through (gate_enter()).
 */
#ifndef STRAY_PRELOAD_STATE_PAIRS_BIND_H
#define STRAY_PRELOAD_STATE_PAIRS_BIND_H

#include "state/pairs.h"

/* Turns the slots of what was loaded since the last time. Costs nothing where the user has named no function. */
void pairs_bind(void);
/* Puts the functions themselves back into the slots: tracing ends, and the program goes on. */
void pairs_release(void);
/* Some object was unloaded: another may come to its place. */
void pairs_unbind(void);
/* What dlsym(object, name), or dlvsym(), has to find; NULL, with dlerror() set: nothing. `name` is one of the user's. */
void *pairs_find(void *object, const char *name, const char *version);

#endif
