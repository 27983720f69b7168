/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The places in a loaded object that hold addresses of functions it imports: its global offset table, and data that was
 * initialised with such an address.
 */
#ifndef STRAY_PRELOAD_GOT_H
#define STRAY_PRELOAD_GOT_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

enum got_kind {
    GOT_CALL,    /* of the procedure linkage table: may be bound lazily */
    GOT_ADDRESS, /* the address of a function, for calls or for use as a value */
    GOT_DATA,    /* a word of the object's data that was initialised with the address */
};

struct got_slot {
    void **at;
    const char *name;   /* of the function */
    enum got_kind kind;
    uint32_t symbol;    /* its number in the object's table */
    bool defined;       /* the object defines a function of that name itself */
};

/* Calls `visit` for each slot of the object that is loaded with `bias`. Takes no lock: the object must stay loaded meanwhile. */
void got_each(uintptr_t bias, const ElfW(Dyn) *dynamic, void (*visit)(void *data, const struct got_slot *slot), void *data);

/* The version of the symbol of that number that the object asks for; NULL: any. */
const char *got_version(uintptr_t bias, const ElfW(Dyn) *dynamic, uint32_t symbol);

/* Stores `to` in `slot`, if it still holds `from`; its page may be one that the dynamic linker has made read-only. `header`: of the
 * object that is loaded with `bias`. */
void got_exchange(uintptr_t bias, const ElfW(Ehdr) *header, void **slot, void *from, void *to);

/* Makes a page of slots that is read-only writable for a moment, in which no other thread closes it. False: it cannot be. Each true is
 * followed by got_close_page(), which gives it the protection `protection`. */
bool got_open_page(uintptr_t page);
void got_close_page(uintptr_t page, int protection);

/* Makes the shared library `object`'s calls of `name` go to `function`. True if a slot was found and replaced. Not signal safe; the object
 * must stay loaded meanwhile. */
bool got_replace(const struct link_map *object, const char *name, void *function);

/* The same for every function that `object` imports and does not define itself: `choose` says by name where to, NULL leaves
 * it. */
void got_replace_each(const struct link_map *object, void *(*choose)(void *data, const char *name), void *data);

#endif
