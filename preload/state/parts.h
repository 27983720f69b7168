/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What resident memory consists of, told map by map from /proc/self/smaps. The allocator itself is never asked: mallinfo2()
 * takes its locks, and nobody can tell whether the signal handler that we may be in has interrupted it. What is free inside it
 * is found by the analyzer, which knows what is live.
 *
 * Thread and signal safe; system calls only, about 2 KiB of stack.
 */
#ifndef STRAY_PRELOAD_PARTS_H
#define STRAY_PRELOAD_PARTS_H

#include <stdbool.h>

/* Tells the parts now, unless another thread is about it. */
void parts_tell(void);
/* Whether it is time to: after an eighth of the time so far, at least 1 s and at most 60 s; less often where it takes long. */
bool parts_due(void);
/* Whether what was told at the beginning is less than a second old, and all there is. */
bool parts_fresh(void);
/* A new process, or a new trace. */
void parts_begin(void);

#endif
