/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hooks of a program that was running before we were loaded: the slots of all loaded objects that lead to hooked functions are
 * made to lead to the hooks, and a journal says what they held. Preloaded, the dynamic linker does that by the order of objects, and
 * this does nothing.
 *
 * Not signal safe. One thread is at it at a time; others go on calling through the slots meanwhile.
 */
#ifndef STRAY_PRELOAD_HOOKS_JOURNAL_H
#define STRAY_PRELOAD_HOOKS_JOURNAL_H

#include <stdbool.h>

/* Binds the hooks in all objects; once more, in those that have come since. False: there was no memory, and nothing is bound. */
bool journal_bind(void);
/* Puts back what the slots held, where they still hold a hook. */
void journal_unbind(void);
/* Whether hooks are bound so. */
bool journal_bound(void);

#endif
