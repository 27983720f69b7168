/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Texts that are kept once each, however often they are met: the names and paths of many traces of one program are the
 * same ones. A zeroed struct is empty and ready. Not thread safe.
 */
#ifndef STRAY_NAMES_TEXTS_H
#define STRAY_NAMES_TEXTS_H

#include "names/arena.h"

struct texts {
    struct arena arena;
    const char **slots; /* NULL: free */
    size_t capacity, count; /* capacity: 0 or a power of two */
};

/* A copy that lives as long as `texts`, the same pointer for the same text; NULL without memory. */
const char *texts_keep(struct texts *texts, const char *text);
/* Frees what it holds and leaves it empty. */
void texts_free(struct texts *texts);

#endif
