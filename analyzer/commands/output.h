/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a verb writes its result: standard output, or the file of -o. */
#ifndef STRAY_COMMANDS_OUTPUT_H
#define STRAY_COMMANDS_OUTPUT_H

#include <stdio.h>

/* Writes a result to `out`. 0, or a negative errno; errors of `out` itself may be left for the caller to
 * find. */
typedef int output_writer(void *data, FILE *out);

/* Lets `writer` write to the file at `path`, made with mode 0600 because it names the service's code, peers
 * and commands, or, for NULL and "-", to standard output. STATUS_DONE, or STATUS_UNREADABLE after saying why.
 */
int output_write(const char *path, output_writer *writer, void *data);

#endif
