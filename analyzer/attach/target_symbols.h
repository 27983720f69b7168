/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is loaded in another process, and where its functions are: from /proc/PID/maps and the dynamic symbol tables in its memory.
 * So it holds for deleted files, in other mount namespaces, and whatever libc there is.
 */
#ifndef STRAY_ATTACH_TARGET_SYMBOLS_H
#define STRAY_ATTACH_TARGET_SYMBOLS_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/maps.h"

/* A program or library. Addresses are those in the other process; 0: there is no such table. */
struct object {
    uint64_t base, end; /* where it is mapped, and what to add to the addresses in its file */
    uint64_t bias;
    uint64_t symbols, strings, hash, versions;
    uint64_t thread_image, thread_image_size; /* what thread-local storage begins with */
    const char *path;                         /* of the mapping */
};

struct objects {
    int memory; /* borrowed */
    struct maps maps;
    struct object *items;
    size_t count;
    uint32_t *reads_left; /* of tables, for all look-ups together: the process may have made some without end */
};

/* 0, or a negative errno. `memory` must stay open as long as *ret_objects is used. */
int objects_read(pid_t pid, int memory, struct objects *ret_objects);
void objects_free(struct objects *objects);
/* Whether so much was read of its tables that something is wrong with them; nothing is found any more then. */
bool objects_endless(const struct objects *objects);

/* The object whose pages hold `address`; NULL: none. */
const struct object *objects_at(const struct objects *objects, uint64_t address);

/* The symbol as its object has it, the default version if there are several; false: not defined there. */
bool symbol_find(const struct objects *objects, const struct object *object, const char *name, Elf64_Sym *ret_symbol);
/* Its address in the process; 0: not defined there. */
uint64_t symbol_address(const struct objects *objects, const struct object *object, const char *name);
/* The first object that defines `name`; NULL: none. */
const struct object *symbol_definer(const struct objects *objects, const char *name);

#endif
