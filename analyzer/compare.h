/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comparing what may be missing: NULL is equal to NULL alone, and comes first. Pure. */
#ifndef STRAY_COMPARE_H
#define STRAY_COMPARE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline int text_order(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static inline bool same_text(const char *a, const char *b)
{
    return a == b || text_order(a, b) == 0;
}

/* For what is listed from the largest down. */
static inline int more_first(uint64_t a, uint64_t b)
{
    return (a < b) - (a > b);
}

#endif
