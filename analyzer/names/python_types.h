/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which functions of an object file CPython calls when an object dies, found without symbols: destructors of
 * extension types are static functions, and distributions strip them. Type objects and type specifications
 * are recognised in the data (a pointer to a name, plausible sizes, functions in the right slots), the
 * garbage collector by the message it refers to, the interpreter's end by where the API's function leads.
 *
 * Everything is read through the image's checks. Nothing here is specific to one extension module.
 */
#ifndef STRAY_NAMES_PYTHON_TYPES_H
#define STRAY_NAMES_PYTHON_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "names/image.h"

enum python_role {
    PYTHON_ROLE_NONE,
    PYTHON_ROLE_DESTRUCTOR, /* tp_dealloc, tp_finalize or tp_del of some type */
    PYTHON_ROLE_COLLECTOR,  /* the garbage collector's main function */
    PYTHON_ROLE_FINALIZER,  /* ends the interpreter */
};

struct python_types;

/* `finalize`: address of the exported Py_FinalizeEx, 0 where there is none. -ENOMEM. A file without type
 * objects gives an empty table. Does not borrow the image. */
int python_types_read(const struct image *image, uint64_t finalize, struct python_types **ret_types);
void python_types_free(struct python_types *types);

/* The role of the function that starts at `address` (in the file's terms). */
enum python_role python_types_role(const struct python_types *types, uint64_t address);
size_t python_types_count(const struct python_types *types); /* functions known */

#endif
