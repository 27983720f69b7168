/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replacing one imported function of one loaded object, by its global offset table.
 */
#ifndef STRAY_PRELOAD_GOT_H
#define STRAY_PRELOAD_GOT_H

#include <link.h>
#include <stdbool.h>

/* Makes the shared library `object`'s calls of `name` go to `function`. True if a slot was found and replaced. Not signal safe; the object
 * must stay loaded meanwhile. */
bool got_replace(const struct link_map *object, const char *name, void *function);

/* The same for every function that `object` imports and does not define itself: `choose` says by name where to, NULL leaves
 * it. */
void got_replace_each(const struct link_map *object, void *(*choose)(void *data, const char *name), void *data);

#endif
