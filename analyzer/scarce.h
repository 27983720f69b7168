/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Libraries that cannot bear that memory runs out: libdw ends the process with a line of its own and status 1, or
 * reads through NULL; libpg_query, which has nowhere to report to before it has begun, ends it, too. So it is looked
 * whether there is room before they are called, and what they ask to end is ended here. Thread safe.
 */
#ifndef STRAY_SCARCE_H
#define STRAY_SCARCE_H

#include <stddef.h>

/* Says "stray: out of memory" and ends the process with status 2. The one exception from the rule that libraries of the analyzer
 * neither print nor exit: what calls it cannot return. */
void scarce_end(void) __attribute__((noreturn));
/* Ends it likewise unless there is room for what one call of such a library takes, by far. Touches no memory. errno is kept. */
void scarce_check(void);

#endif
