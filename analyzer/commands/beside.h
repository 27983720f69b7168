/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was built or installed together with this program. */
#ifndef STRAY_COMMANDS_BESIDE_H
#define STRAY_COMMANDS_BESIDE_H

#include <stddef.h>

/* The absolute path of the first of `places` that is there, each relative to this program's folder, to be freed by the caller;
 * NULL: none, or out of memory. */
char *beside_find(const char *const *places, size_t count);

#endif
