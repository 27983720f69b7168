/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resources and functions that users have defined (stray run --pair). Each trace numbers its own by the order in which they
 * were given; here the same name has the same number in all traces that are read, from STRAY_USER_FIRST and STRAY_HOOK_USER on. What is
 * known is known for the life of this program. Threads: one at a time.
 */
#ifndef STRAY_READ_PAIRS_H
#define STRAY_READ_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stray/hooks.h"

/* The number of the resource called so, which gets one if it has none. STRAY_RESOURCE_NONE: it is no name for one, or there are
 * too many. */
unsigned pairs_resource(const char *label, size_t length);
/* A trace says that it has it: until then somebody has only asked for it. */
void pairs_resource_found(unsigned resource);
bool pairs_resource_is_found(unsigned resource);
/* NULL: no resource has this number. The second: what one of it is called. */
const char *pairs_resource_label(unsigned resource);
const char *pairs_resource_thing(unsigned resource);

/* The number of the function, which gets one if it has none; STRAY_HOOK_NONE: it is longer than names are, or there are too
 * many. Takes the same time however many there are: a trace may name as many as fit in it. */
unsigned pairs_function(const char *name);
/* NULL: no function has this number. */
const char *pairs_function_name(unsigned hook);

#endif
