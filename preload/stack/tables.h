/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The unwind tables of the program's objects, read by mappings of our own of the same files: pages that are read in the program's
 * mapping stay with it, a megabyte and more where it uses many libraries. These are given back by and by.
 *
 * Only what is the same file for certain is read so, by its device and inode. Everything else (replaced since, not to be opened,
 * on a file system that tells of other numbers in maps than by stat) is left to be read in place.
 *
 * Thread and signal safe; one reads at a time. A file is opened for the time of a mapping call.
 */
#ifndef STRAY_STACK_TABLES_H
#define STRAY_STACK_TABLES_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct tables_view {
    struct dl_phdr_info object; /* as if it lay elsewhere, of which only the tables are mapped; refers to `phdrs` */
    uint64_t moved;             /* where an address of the object is there, less where it is */
    ElfW(Phdr) phdrs[2];
};

/* The tables of an object that modules_find() has told for `address`. False: not to be had, or somebody else is reading. Until
 * tables_give() nobody else is. */
bool tables_take(const struct dl_phdr_info *object, uint64_t address, struct tables_view *ret_view);
void tables_give(void);

/* Gives all mappings back, unless one is in use. */
void tables_drop(void);

#endif
