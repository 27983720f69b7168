/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The traces that a verb is about. */
#ifndef STRAY_COMMANDS_INPUTS_H
#define STRAY_COMMANDS_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

struct inputs {
    char **paths;
    size_t count;
    bool whole;     /* files of folders are not left out */
    char *given;    /* what the user called them, to stand in the result */
    char *left_out; /* the first of the files that were left out, and why; NULL: none was */
    size_t left_out_count;
};

typedef int inputs_finder(char *const *arguments, size_t count, struct inputs *ret_inputs);
/* The trace files meant by TRACE arguments: files, folders, "-" for standard input, or, where there are none,
 * the newest folder "stray.*" here; each once. Of a folder or a packed file, files of which nothing can be read are left out if
 * there are others. STATUS_DONE, or STATUS_UNREADABLE after saying why. */
inputs_finder inputs_find;
/* Leaves none out. */
inputs_finder inputs_find_all;
/* Says on standard error what was left out, if anything was. */
void inputs_tell(const struct inputs *inputs);
void inputs_free(struct inputs *inputs);

/* Refuses an output that would take the place of what is read. NULL and "-": standard output. */
int inputs_spare(const struct inputs *inputs, const char *output);

/* What a verb does with its traces; an exit status. */
typedef int inputs_user(const struct inputs *inputs, void *data);

/* The rest of a verb whose options were parsed with `status`: prints `usage` for STATUS_HELP; for STATUS_DONE finds the
 * traces named from argv[optind] on and lets `use` have them, which will write to `output`. An exit status. */
int inputs_use(int status, int argc, char **argv, const char *usage, const char *output, inputs_user *use, void *data);

#endif
