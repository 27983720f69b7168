/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walking the debugging information entries of a unit. Damaged ones can nest without end and name a sibling that stands before
 * them; sound ones do neither. Pure.
 */
#ifndef STRAY_NAMES_DIES_H
#define STRAY_NAMES_DIES_H

#include <elfutils/libdw.h>
#include <stdbool.h>

/* How deep to follow. */
#define DIES_MAX_DEPTH 128

/* What follows `die` below the same parent; false when it was the last. */
static inline bool die_next(Dwarf_Die *die, Dwarf_Die *ret_next)
{
    const void *place = die->addr;
    return dwarf_siblingof(die, ret_next) == 0 && (const char *)ret_next->addr > (const char *)place;
}

/* Can a function with code of its own, or the declaration of one, stand below such a tag? */
bool die_holds_functions(int tag);

#endif
