/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The trace that a running process writes. */
#ifndef STRAY_COMMANDS_TRACED_H
#define STRAY_COMMANDS_TRACED_H

#include <stdint.h>

/* The path of its trace, to be freed; NULL after saying why there is none. */
char *traced_path(uint64_t pid);

#endif
