/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which loaded objects somebody has looked at already, by where they are loaded. One thread at a time works with a list; not
 * signal safe: the dynamic linker's locks are taken.
 */
#ifndef STRAY_PRELOAD_STATE_OBJECTS_H
#define STRAY_PRELOAD_STATE_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

#define OBJECTS_MAX 4096u

struct objects {
    uint64_t known[OBJECTS_MAX];
    bool still_there[OBJECTS_MAX];
    unsigned count;
};

/* All that are loaded now are known from here on. */
void objects_note_all(struct objects *objects);
/* Notes one that was not known, and appends its path (of the program itself: nothing). False: there is none, or no room. */
bool objects_next(struct objects *objects, struct text *path, uint64_t *ret_address);
/* Not known any more: the next call of the function above may return it again, after all that are not known either. */
void objects_unknow(struct objects *objects, uint64_t address);
/* Those that are no longer loaded are not known any more: another may come to their place. */
void objects_forget(struct objects *objects);
bool objects_are_full(const struct objects *objects);

#endif
