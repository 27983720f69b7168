/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes packed files (read/pack.h). */
#ifndef STRAY_VIEWS_PACKING_H
#define STRAY_VIEWS_PACKING_H

#include <stddef.h>
#include <stdio.h>

#include "error.h"

/* What goes into a packed file; opaque. */
struct packing;

/* Reads the traces at `paths`, which must outlive the packing, and finds out about all stacks in them. Of a process that still
 * runs it keeps what its spool held then. */
int packing_make(char *const *paths, size_t count, struct packing **ret_packing, struct error *error);
/* NULL is accepted. */
void packing_free(struct packing *packing);

/* -ENOMEM, -EIO, or what reading a trace gave. The same traces give the same bytes. */
int packing_write(const struct packing *packing, FILE *out);

#endif
