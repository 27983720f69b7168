/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions that the user wants to have traced, by name (STRAY_PAIR; the grammar is in stray/pair.h). Each function that is
 * found gets one of PAIR_STUBS entries in assembly: it calls the function with the arguments as they came, and hands what
 * came back to the caller. Whoever binds (pairs_bind.h, or a binder of running processes) puts pairs_function() in the
 * place of each reference to such a name.
 *
 * Thread safe; signal safe where not said otherwise.
 */
#ifndef STRAY_PRELOAD_STATE_PAIRS_H
#define STRAY_PRELOAD_STATE_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "arch_pairs.h"
#include "stray/pair.h"

struct pair_entry {
    void *function; /* the real one; NULL: free */
    const struct stray_pair_function *pair;
    uint64_t start, end; /* of all that the object which defines it has mapped */
    uint16_t number; /* of the function, among all of the user's; PAIR_UNWANTED */
};

#define PAIR_UNWANTED 0xffffu

/* The entries; what assembly code calls finds them here (hooks/pair_calls.c). */
extern struct pair_entry pair_entries[PAIR_STUBS] __attribute__((visibility("hidden")));

/* Takes the user's text, which must stay; NULL: there is none. What is wrong with it is kept for pairs_define(), and nothing is traced
 * then. When tracing begins: at the start of the program, or at an attach. What the program still has of entries from an earlier
 * time goes on to work. */
void pairs_init(const char *text);
/* Says in this process's trace which resources and functions there are. At the start, and in a forked child. */
void pairs_define(void);

/* Whether the user has named any function. */
bool pairs_any(void);
/* The bits that a list of resources may name besides the built-in ones: that of the pair called so; 0: there is none. */
unsigned pairs_resource(const char *label, unsigned long length);
/* Whether it is one of the user's. */
bool pairs_wanted(const char *name);
/* What to put in the place of the function at `real`, which is called `name` and one of the user's; the same each time.
 * NULL: leave it, because it is no function, or there are too many. Not signal safe. */
void *pairs_function(const char *name, void *real);
/* Whether `function` is what pairs_function() returned, and what it stands for, then. */
bool pairs_is_ours(const void *function);
void *pairs_behind(const void *function);
/* Some object was unloaded: its functions' addresses may be given anew. Not signal safe. */
void pairs_forget(void);

#endif
