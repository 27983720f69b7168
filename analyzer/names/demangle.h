/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Linkage names to what people call a function. */
#ifndef STRAY_NAMES_DEMANGLE_H
#define STRAY_NAMES_DEMANGLE_H

#include "names/arena.h"

/* C++ and Rust names: qualified, without parameters, return type and compiler marks. Other names: without
 * the suffixes compilers give to clones (".part.0", ".cold"). Returns `name` itself or a copy in `arena`. */
const char *demangle(struct arena *arena, const char *name);

#endif
