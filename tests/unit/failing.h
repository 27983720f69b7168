/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An allocator that fails on demand. To be linked into an executable, whose malloc, calloc, realloc,
 * reallocarray, strdup and strndup then stand before those of libc and of the address sanitizer, for the
 * libraries too. Not thread safe.
 */
#ifndef STRAY_TEST_FAILING_H
#define STRAY_TEST_FAILING_H

#include <stdint.h>

/* Allocations of the library whose file name contains `library` never fail. */
void failing_spare(const char *library);
/* From now on the `n`-th allocation fails, and it alone; 0: none does. Counting begins anew. */
void failing_arm(uint64_t n);
/* Allocations asked for since then. */
uint64_t failing_count(void);

#endif
