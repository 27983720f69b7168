/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* System calls by number that change what the tracer may do or can see. The rules of wrap.h hold. */
#ifndef STRAY_PRELOAD_HOOKS_SANDBOX_H
#define STRAY_PRELOAD_HOOKS_SANDBOX_H

/* The program is about to make system call `number`, with these arguments. Keeps errno. */
void raw_call_begins(long number, const long arguments[6]);

#endif
