/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The traces that a verb is about. */
#ifndef STRAY_COMMANDS_INPUTS_H
#define STRAY_COMMANDS_INPUTS_H

#include <stddef.h>

struct inputs {
    char **paths;
    size_t count;
    char *given; /* what the user called them, to stand in the result */
};

/* The trace files meant by TRACE arguments: files, folders, "-" for standard input, or, where there are none,
 * the newest folder "stray.*" here; each once. STATUS_DONE, or STATUS_UNREADABLE after saying why. */
int inputs_find(char *const *arguments, size_t count, struct inputs *ret_inputs);
void inputs_free(struct inputs *inputs);

/* Refuses an output that would take the place of what is read. NULL and "-": standard output. */
int inputs_spare(const struct inputs *inputs, const char *output);

/* What a verb does with its traces; an exit status. */
typedef int inputs_user(const struct inputs *inputs, void *data);

/* The rest of a verb whose options were parsed with `status`: prints `usage` for STATUS_HELP; for STATUS_DONE finds the
 * traces named from argv[optind] on and lets `use` have them, which will write to `output`. An exit status. */
int inputs_use(int status, int argc, char **argv, const char *usage, const char *output, inputs_user *use, void *data);

#endif
