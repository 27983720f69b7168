/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Building JSON without a check at each step: where memory runs out, jansson answers NULL, and what is added
 * as NULL is silently left out. So failures are noted where they happen, and whoever prints asks once. Not
 * thread safe.
 */
#ifndef STRAY_JSON_MEMORY_H
#define STRAY_JSON_MEMORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on failures are noted; none is so far. To be called before anything is built. */
void json_memory_watch(void);
/* Whether memory ran out since then: what was built is not whole. */
bool json_memory_failed(void);
/* malloc() whose failure is noted, for what becomes part of it. */
void *json_memory_malloc(size_t size);

/* Text that comes from a traced program: bytes of any kind. What is not UTF-8 is told as utf8_copy() does. NULL: null. */
json_t *json_text(const char *text);
/* The same for formats that others read: as safe_text() escapes it, with nothing doubled. */
json_t *json_safe(const char *text);
/* A number of the schemas: at most INT64_MAX, since JSON's readers know none beyond; damaged traces may tell of more. */
json_t *json_whole(uint64_t number);

#endif
