/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a function is told by within one program. Pure. */
#ifndef STRAY_NAMES_FUNCTION_H
#define STRAY_NAMES_FUNCTION_H

#include <stdbool.h>

#include "names/stacks.h"

struct function {
    const char *name, *file, *module; /* NULL: unknown */
};

/* One function, whatever line of it: the same name in the same file, or in the same module where neither has a known file.
 * One whose name is unknown is like no other. */
bool same_function(struct function a, struct function b);

/* Both frames are there, and of one function. */
bool frames_same_function(const struct frame *a, const struct frame *b);

#endif
