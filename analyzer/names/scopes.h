/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The classes, namespaces and functions around a function, for its qualified name. An entry knows its children and not its parent: so
 * a unit is walked once, when the first of its functions is asked about, and where each scope begins and ends is kept.
 *
 * Ownership: borrows what it is asked about; names belong to the arena. Not thread safe.
 */
#ifndef STRAY_NAMES_SCOPES_H
#define STRAY_NAMES_SCOPES_H

#include <elfutils/libdw.h>

#include "names/arena.h"

/* Zeroed, it is empty and ready. */
struct scopes {
    void *units; /* a tree, by unit */
};

void scopes_free(struct scopes *scopes);

/* `name` behind the names of what stands around `die`: "shop::Basket::add". NULL without memory. */
const char *scopes_qualify(struct scopes *scopes, struct arena *arena, Dwarf_Die *die, const char *name);

#endif
