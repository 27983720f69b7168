/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stack of the calling thread as one number. Thread and signal safe: a handler that interrupts a capture gets 0.
 */
#ifndef STRAY_PRELOAD_CAPTURE_H
#define STRAY_PRELOAD_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

/* The node of the stack whose innermost frame is `caller`, the return address of the hook: what lies inside is the
 * tracer's. 0: none could be taken. */
uint32_t capture_stack(const void *caller);
/* The same for the caller of a function that keeps a frame pointer and lives yet, by its __builtin_frame_address(0). A
 * stack that was taken lately is recognised; hooks that are called often have this one. */
uint32_t capture_caller(const void *frame);
/* The same for a block of the heap: inside a call of libpq what lies outwards of that is not looked at again and again. */
uint32_t capture_block(const void *frame);
/* The same for a thread that has a lane, and has set THREAD_UNWINDING itself. */
uint32_t capture_block_amid(const void *frame);

/* The stack of the caller of `function` of libpq, by the frame of the hook. What is acquired beneath the call, which is the one that is
 * under way, has that stack from now on, with `function` in it: see familiar_beneath_libpq(). With --full each has its own. */
uint32_t capture_libpq(const void *frame, const void *function);

/* Before the first capture, at the start and in a forked child; with a spool to define modules in. */
void capture_init(void);
/* Between two traces of one process: drops what belonged to the first. Threads that are at it nevertheless find memory. */
void capture_clear(void);
/* Whether no thread that has no lane is amid a capture. */
bool capture_idle(void);
/* Drops, in a forked child, what belonged to the parent's trace and threads. */
void capture_forget(void);

#endif
