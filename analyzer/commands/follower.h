/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that has read a trace that is written still, up to some seconds ago, and forks another one for each report: that one
 * reads the rest, and what it has changed in memory goes with it. So a report costs what came since, and no more is kept
 * than the trace was read to.
 */
#ifndef STRAY_COMMANDS_FOLLOWER_H
#define STRAY_COMMANDS_FOLLOWER_H

#include <stdio.h>

#include "views/report.h"

struct follower;

/* Writes what is to be seen of a report. 0; 1: nothing of it can change any more; or a negative errno. */
typedef int follower_writer(void *data, struct report *report, FILE *out);

/* Begins to read the trace at `path`, all but the last `seconds`. `options`, `given` and `data` are the caller's, and copied by the
 * fork. NULL: no process could be made. */
struct follower *follower_start(const char *path, double seconds, const char *given, const struct report_options *options,
                                follower_writer *writer, void *data);
/* What is to be seen now, to be freed, and whether nothing of it can change; NULL: the trace must be read anew, and the follower
 * stopped. */
char *follower_look(struct follower *follower, bool *ret_over);
/* NULL is accepted. */
void follower_stop(struct follower *follower);

#endif
