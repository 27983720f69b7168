/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folder that traces go to. */
#ifndef STRAY_COMMANDS_OUTPUT_FOLDER_H
#define STRAY_COMMANDS_OUTPUT_FOLDER_H

#include <stdbool.h>
#include <sys/types.h>

/* What -o gave; else what the environment says, unless that is about the tracing of this very process; NULL: nothing. */
const char *output_folder_chosen(const char *given);
/* Makes the folder `given`, or for NULL "stray.<command>.<pid>" here, and what is missing above it. *ret_path, absolute, is freed
 * by the caller; *ret_made: how many levels at its end are new. STATUS_DONE, or STATUS_REFUSED after saying why: it cannot be used,
 * or holds traces and not `force`. */
int output_folder_prepare(const char *given, bool force, const char *command, pid_t pid, char **ret_path, unsigned *ret_made);
/* Nothing was traced: removes the levels that are new, as far as they are empty. */
void output_folder_undo(const char *path, unsigned made);

#endif
