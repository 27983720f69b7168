/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The children behind streams. The rules of wrap.h hold. */
#ifndef STRAY_PRELOAD_HOOKS_CHILDREN_H
#define STRAY_PRELOAD_HOOKS_CHILDREN_H

#include "hooks/wrap.h"

/* libc does not tell the pid of a child that popen() begins, and waits for it by itself: the address of the stream stands
 * for it. `time` is from before_birth(), before the call. */
uint64_t before_birth(void);
void child_piped(uint16_t hook, uint64_t time, const FILE *stream, const void *caller);
/* `stream` was closed; `status` is what pclose() said. */
void child_unpiped(uint16_t hook, uint64_t time, const FILE *stream, int status);

#endif
