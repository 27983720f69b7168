/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The definition area of the trace: modules, code objects, endpoints, settings. Append-only; see FORMAT.md.
 * Lock-free, thread and signal safe, allocates nothing.
 */
#ifndef STRAY_PRELOAD_DEFS_H
#define STRAY_PRELOAD_DEFS_H

#include <stdint.h>
#include <sys/uio.h>

/* Appends one definition made of `count` parts, which are copied. Returns its id, 0 when there is no room. */
uint32_t defs_add(uint16_t type, const struct iovec *parts, unsigned count);
/* The same for one NUL-ended string; equal strings of a type share an id. */
uint32_t defs_string(uint16_t type, const char *string);

/* The module epoch: mixed into stacks, stamped on definitions; bumped when a module's addresses may mean another. */
uint32_t defs_epoch(void);
void defs_next_epoch(void);

/* Makes a forked child's epoch begin anew. */
void defs_forget(void);

#endif
