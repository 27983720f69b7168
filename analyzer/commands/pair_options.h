/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --pair and --pairs of the verbs that trace: what users say of resources of their own. All of it ends in one environment
 * variable, STRAY_PAIR, as the shim reads it (stray/pair.h). Each function says what is wrong and returns the exit status:
 * STATUS_DONE to go on.
 */
#ifndef STRAY_COMMANDS_PAIR_OPTIONS_H
#define STRAY_COMMANDS_PAIR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* --pair: pairs as they are written, "@FILE", or the name of a file of pairs that is installed. */
int pair_options_add(const char *argument);
/* --pairs: a file with a pair a line, and comments behind a "#". */
int pair_options_add_file(const char *path);
/* When all options are in: checks the pairs, those that the variable held where no option named any, and sets the variable. */
int pair_options_finish(void);
/* After that: whether a pair is called so. */
bool pair_options_define(const char *label, size_t length);

#endif
