/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hooked functions that the program calls past us, because another definition comes before ours: notes that say so. */
#ifndef STRAY_PRELOAD_FOREIGN_H
#define STRAY_PRELOAD_FOREIGN_H

#include <stdbool.h>

/* Looks who comes first. Once, when the program starts; not signal safe. */
void foreign_find(void);
/* Puts the notes into the trace, each process's own. Signal safe. */
void foreign_define(void);

/* Whether another object than libc defines malloc where calls of it may pass us by. */
bool foreign_definer(void);
/* Whether the program holds the runtime of a sanitizer (AddressSanitizer and the like). Signal safe. */
bool foreign_sanitizer(void);
/* Whether blocks come from a malloc before ours. */
bool foreign_heap(void);

#endif
