/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Native return addresses by libunwind, which is loaded privately: its symbols must not enter the program's global
 * scope (some of them would take over C++ exceptions), and its dl_iterate_phdr is ours, so that it never waits for the
 * dynamic linker's lock.
 */
#ifndef STRAY_PRELOAD_NATIVE_H
#define STRAY_PRELOAD_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Loads libunwind; before it, and where it cannot be had, stacks are empty. Not signal safe; called once. */
void native_init(void);
bool native_active(void);
/* An address inside the library that does it; NULL: none was loaded that the program does not use itself. */
const void *native_own_library(void);

/* The calling thread's return addresses, innermost (the caller of this function's caller, and the tracer's own frames
 * among them) first. About 10 ns a frame. */
size_t native_backtrace(void **addresses, size_t capacity);

/* The canonical frame addresses that belong to the frames of native_backtrace(), by unwinding step by step (80 times
 * slower). Fills at most `count`; returns how many were found whose address matches. */
size_t native_frame_addresses(void *const *addresses, size_t count, uint64_t *ret_cfa);

/* Drops what libunwind remembers: it may have looked at an object before it was known. */
void native_flush(void);

#endif
