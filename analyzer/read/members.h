/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Members of a packed file by name. Of thousands of processes each trace is opened by itself, and a packed file has no table: so
 * what the last one holds is kept, until another file is asked about or it has changed. Not thread safe.
 */
#ifndef STRAY_READ_MEMBERS_H
#define STRAY_READ_MEMBERS_H

#include "read/pack.h"

/* The first member called so. -ENOENT if there is none, -ENOMEM, and what fstat() says. */
int members_find(const struct source *pack, const char *name, struct pack_member *ret_member);

#endif
