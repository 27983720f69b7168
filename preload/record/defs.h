/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store of definitions: what events and stacks refer to by number (modules, code objects, endpoints,
 * notes).
 */
#ifndef STRAY_RECORD_DEFS_H
#define STRAY_RECORD_DEFS_H

#include <stdint.h>
#include <sys/uio.h>

/* Appends a definition whose payload is the concatenation of `parts`, which are copied. Returns its id, or 0
 * when the store is full. Any thread; async-signal-safe. `type`: enum stray_def_type. */
uint32_t defs_add(uint16_t type, const struct iovec *parts, unsigned count);

#endif
