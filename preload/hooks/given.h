/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hooks that the program gets by address. Whoever calls such a function may be anybody (libffi, most often), so that the
 * caller does not tell which libpq is meant. Each function of each libpq therefore has an address of its own, a stub that
 * says which real function it stands for and goes on to the hook.
 */
#ifndef STRAY_PRELOAD_HOOKS_GIVEN_H
#define STRAY_PRELOAD_HOOKS_GIVEN_H

#include "hooks/by_name.h"

/* What to give to a program that looks for `function`, a libpq's of the name of `hook`: always the same for the same
 * function; `function` itself where it is no libpq's, or when there are too many. Not signal safe. */
void *given_function(const struct hook_name *hook, void *function);
/* Some object was unloaded: its functions' addresses may be given anew. */
void given_forget(void);

#endif
