/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPython's allocator of small objects, which libc's allocator never sees: hooked through the interpreter's own interface,
 * in the domains of objects and of memory. Blocks of more than 512 bytes, and the raw domain, come from malloc and are seen
 * there.
 */
#ifndef STRAY_PRELOAD_PYTHON_MEMORY_H
#define STRAY_PRELOAD_PYTHON_MEMORY_H

#include <stdbool.h>

/* Sets our functions, if this thread holds the interpreter's lock, and if the interpreter's own are in force: also when
 * they have come back. Does nothing else, most of the time. Allocates nothing; errno is left alone. */
void python_memory_look(void);

/* `block` is about to be given to free, and may be a sample that was put aside: then its end is recorded. False: it is none, and
 * whatever else is to be done about it is. */
bool python_memory_freed(const void *block);

/* The same in a program that we came late to, where hooks do not do it: somebody may have been at it all along. The interpreter is asked
 * to call us when it is between two of its instructions. Begins with a trace, and takes our functions back after it; whoever has
 * saved them meanwhile goes on through them. For a thread of our own only. */
void python_memory_attached(void);
void python_memory_left(void);

#endif
