/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds exported symbols in the loaded objects, with their sizes. Used in place of dlsym() because that tells
 * no size, does not see objects loaded with RTLD_LOCAL (a host may load its interpreter so), and is itself
 * hooked.
 *
 * Lookup by DT_GNU_HASH, as described in the ELF gABI's supplement and in glibc's elf/dl-lookup.c; objects
 * that have only the old DT_HASH are passed over.
 *
 * Threads: any. Takes the dynamic loader's locks: not async-signal-safe, not for hooks of hot functions.
 */
#ifndef STRAY_STACK_MODULE_SYMBOLS_H
#define STRAY_STACK_MODULE_SYMBOLS_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct module_symbol {
    const char *name;
    bool optional;
    uint64_t address; /* result; 0: not there */
    uint64_t size;    /* result */
};

struct module_range {
    uint64_t start, end; /* of everything the object has mapped */
};

/* The first object, in load order, that defines all symbols that are not optional. On true the symbols'
 * results and the object's range are set, and its relocation is complete. On false the results are undefined.
 */
bool module_symbols_find(struct module_symbol *symbols, size_t count, struct module_range *ret_range);
/* The same without a call of libc or a lock: only while the program begins, when nobody loads or unloads objects. */
bool module_symbols_loaded(struct module_symbol *symbols, size_t count);

/* What the dynamic linker has loaded of `object`. Takes no lock. */
struct module_range module_symbols_range(const struct dl_phdr_info *object);

/* Whether `object` defines a symbol of that name. Takes no lock. */
bool module_symbols_has(const struct dl_phdr_info *object, const char *name);

/* For each symbol by itself, what the program's own references to it find: the first definition in load order, but for that of
 * the object in which `except` lies. Symbols that nobody defines have the address 0. */
void module_symbols_first(struct module_symbol *symbols, size_t count, const void *except);

#endif
