/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the algorithm is in the public domain) with a
 * key that is made when it is first needed, and never leaves the process: equal values can be told, and nothing else.
 *
 * Neither allocates nor blocks; any thread, also in a signal handler.
 */
#ifndef STRAY_PRELOAD_SQL_KEYED_H
#define STRAY_PRELOAD_SQL_KEYED_H

#include <stddef.h>
#include <stdint.h>

uint64_t keyed_hash(const void *bytes, size_t size);
/* The same with a key of one's own, for tests. */
uint64_t keyed_hash_with(const uint64_t key[2], const void *bytes, size_t size);

#endif
