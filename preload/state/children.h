/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Child processes, from their creation until somebody has waited for them. A child that is waited for through a hook is
 * told at once. What the others do is found out at samples: they may have ended (and wait to be waited for), or be gone
 * because the kernel was told to forget them. One that popen() began is known by the address of its stream. Thread and
 * signal safe; system calls only.
 */
#ifndef STRAY_PRELOAD_CHILDREN_H
#define STRAY_PRELOAD_CHILDREN_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* `pid` was made by `hook`; `time` is from before. */
void children_made(uint16_t hook, pid_t pid, uint64_t time, uint32_t stack);
/* popen() by `hook` gave `stream`; the rest is as above. */
void children_piped(uint16_t hook, const FILE *stream, uint64_t time, uint32_t stack);
/* `stream` of popen() is about to be closed, and its child waited for. */
void children_unpiping(const FILE *stream);
/* `pid` was waited for by `hook`, and is no more. `stack`: 0 where it does not matter. */
void children_reaped(uint16_t hook, pid_t pid, int status, uint32_t stack);
void children_sample(void);
/* In a forked child: they are its siblings. */
void children_forget(void);

#endif
