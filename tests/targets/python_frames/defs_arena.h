/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A store of definitions that stands in for the shim's, so that the capture of Python frames can be tried
 * alone. */
#ifndef STRAY_TESTS_DEFS_ARENA_H
#define STRAY_TESTS_DEFS_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "record/defs.h"

/* Payload of a definition; NULL if there is none. *ret_size is set where it is not NULL. */
const uint8_t *defs_arena_payload(uint32_t id, size_t *ret_size);

uint32_t defs_arena_count(void);

/* Starts anew. No other thread may use the store. */
void defs_arena_clear(void);

#endif
