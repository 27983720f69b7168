/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a stopped thread may be made to call functions of libc that allocate. */
#ifndef STRAY_ATTACH_SAFE_POINT_H
#define STRAY_ATTACH_SAFE_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach/target_symbols.h"
#include "attach/tracee.h"

/* What is known of a process before any thread of it is stopped. */
struct terrain {
    const struct objects *objects;
    bool *allocates;        /* for each object: it defines malloc(), or is the dynamic linker or the kernel's */
    bool foreign_allocator; /* malloc() is not, or not only, libc's */
    uint64_t restorers[8];  /* what signal handlers return to */
    size_t restorer_count;
};

/* 0, or a negative errno. `objects` must outlive *ret_terrain. */
int terrain_survey(const struct objects *objects, const struct object *libc, struct terrain *ret_terrain);
void terrain_free(struct terrain *terrain);

/* It is provably outside the allocator and the dynamic linker, holds none of their locks, and runs in no signal handler that
 * interrupted them. */
bool point_is_safe(const struct terrain *terrain, const struct tracee *tracee);

/* It may be moved at all: it is in no critical section that the kernel would abort, and has no shadow stack. */
bool point_may_move(const struct terrain *terrain, const struct tracee *tracee);

#endif
