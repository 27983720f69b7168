/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signs in a closing stack of who closed. A release is explicit unless some frame says otherwise; of several
 * signs the strongest counts: what a collection does at exit, exit does. Pure functions.
 */
#ifndef STRAY_NAMES_CLOSER_H
#define STRAY_NAMES_CLOSER_H

#include "names/python_types.h"

/* Ordered by strength. */
enum sign { SIGN_NONE, SIGN_DESTRUCTOR, SIGN_COLLECTOR, SIGN_EXIT };

/* `function` and `module` NULL: unknown. */
enum sign closer_native_sign(const char *function, const char *module, enum python_role role);
enum sign closer_python_sign(const char *function);

#endif
