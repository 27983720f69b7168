/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stack table: nodes (parent, value) interned in the spool. Lock-free, thread and signal safe.
 */
#ifndef STRAY_PRELOAD_NODES_H
#define STRAY_PRELOAD_NODES_H

#include <stdint.h>

/* The id of the node below `parent`, made if it is new; 0 when the table is full or `parent` is 0 for a non-root. */
uint32_t nodes_intern(uint32_t parent, uint16_t kind, uint16_t flags, uint64_t value);

/* In a forked child, whose table is another one. */
void nodes_forget(void);

#endif
