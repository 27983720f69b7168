/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbols as text, for packed files: what was found out about the addresses in a trace where its object files
 * were, so that it is known where they are not. docs/PACK.md has the form. Nothing in such a text is trusted.
 */
#ifndef STRAY_NAMES_PACKED_H
#define STRAY_NAMES_PACKED_H

#include <stdio.h>

#include "names/symbols.h"

/* Writes all that is known so far. -ENOMEM; errors of `out` are left for the caller to find. */
int packed_write(const struct symbols *symbols, FILE *out);

/* Takes the symbols in the folder or packed file that the trace at `path` lies in, if there are any. Lines
 * that make no sense are stepped over. -ENOMEM only. */
int packed_read_beside(struct symbols *symbols, const char *path);
/* The same from a text, which is overwritten. */
int packed_read(struct symbols *symbols, char *text);

#endif
