/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The children behind streams. The rules of wrap.h hold. */
#ifndef STRAY_PRELOAD_HOOKS_CHILDREN_H
#define STRAY_PRELOAD_HOOKS_CHILDREN_H

#include "hooks/wrap.h"

/* libc waits by itself for a child that popen() begins: the address of the stream stands for it. `time` is from before_birth(), before the call. */
uint64_t before_birth(void);
void child_piped(uint16_t hook, uint64_t time, const FILE *stream, const void *caller);
/* Around the closing of `stream`; `status` is what pclose() said. */
void child_unpiping(const FILE *stream);
void child_unpiped(uint16_t hook, uint64_t time, const FILE *stream, int status);

#endif
