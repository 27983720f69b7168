/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two files of a trace, made for a process that may not be allowed to make them itself. */
#ifndef STRAY_COMMANDS_TRACE_FILES_H
#define STRAY_COMMANDS_TRACE_FILES_H

#include <stdbool.h>
#include <sys/types.h>

struct trace_files {
    int trace, spool; /* descriptors, read-write */
    char *trace_path, *spool_path;
    char *link; /* beside the trace, to a spool elsewhere; NULL: none */
};

/* Makes them, empty and with mode 0600: "<folder>/<name>.<pid>[.<n>].stray", and its spool beside it or in the folder
 * `elsewhere` (NULL: none was chosen). A trace that root makes belongs to the owner of `folder`. STATUS_DONE, or STATUS_REFUSED after saying why. */
int trace_files_make(const char *folder, const char *elsewhere, const char *name, pid_t pid, struct trace_files *ret_files);
/* Removes them: nothing was written. */
void trace_files_remove(struct trace_files *files);
void trace_files_close(struct trace_files *files);

/* Whether the process that wrote to them has ended that. */
bool trace_files_ended(const struct trace_files *files);

/* The trace that the process `pid` writes to; to be freed. NULL: none is seen. */
char *trace_files_find(pid_t pid);
/* Removes the spool of the trace at `path`, wherever it is: all stands in the trace. */
void trace_files_remove_spool(const char *path);

#endif
