/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DWARF of one object file: which functions, inlined ones included, hold an address, and at which lines.
 * Functions are indexed a compilation unit at a time, when an address first falls into it; the units' own
 * address ranges are used since not every compiler writes .debug_aranges.
 *
 * Ownership: borrows the Dwarf; copied strings belong to the arena. Not thread safe.
 */
#ifndef STRAY_NAMES_LINES_H
#define STRAY_NAMES_LINES_H

#include <elfutils/libdw.h>

#include "names/arena.h"
#include "names/symbols.h"

struct lines;

int lines_open(Dwarf *dwarf, struct arena *arena, struct lines **ret_lines);
void lines_close(struct lines *lines);

/* The functions at `address` (in the Dwarf's terms), innermost first, at most `capacity`; returns how many.
 * None when no function is known there, though its file and line may be: then *ret_line has those. */
size_t lines_find(struct lines *lines, Dwarf_Addr address, struct symbol *symbols, size_t capacity,
                  struct symbol *ret_line);

#endif
