/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The definition area as tables: process, modules, code, endpoints, notes, options. Records that are not
 * whole (a thread died in the middle of one) are stepped over. All strings point into the area.
 */
#ifndef STRAY_READ_DEFS_H
#define STRAY_READ_DEFS_H

#include <stddef.h>
#include <stdint.h>

#include "read/extents.h"
#include "read/trace.h"
#include "stray/hooks.h"
#include "stray/pair.h"

struct endpoint {
    uint64_t id;
    const char *text;
};

struct texts {
    const char **list;
    size_t count, room;
};

struct defs {
    struct code *codes; /* ascending by id */
    size_t code_count, code_room;
    struct endpoint *endpoints; /* ascending by id */
    size_t endpoint_count, endpoint_room;
    struct statement_text *statements; /* ascending by id */
    size_t statement_count, statement_room;
    struct module *modules;
    size_t module_count, module_room;
    struct texts notes, options, command;
    uint64_t sampled; /* bytes between two samples of the heap, in the mean; 0: its blocks are no samples */
    const struct stray_def_process *identity; /* of the first PROCESS record; NULL: there is none */
    const char *exe;
    uint8_t resources[STRAY_USER_END - STRAY_USER_FIRST]; /* numbers of read/pairs.h; 0: not defined */
    uint16_t functions[STRAY_PAIR_FUNCTIONS];             /* the same */
};

/* An event of a resource that the user has defined gets the numbers of read/pairs.h, in place of those of its trace; what the
 * trace does not define gets none that is known. */
void defs_rename(const struct defs *defs, struct stray_event *event);

/* Reads a sealed area of bytes, which must outlive `defs`. -ENOMEM, with `defs` to be freed all the same. */
int defs_parse(const struct extents *area, struct defs *defs);
void defs_free(struct defs *defs);

#endif
