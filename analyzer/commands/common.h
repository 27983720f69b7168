/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What verbs share: errors, simple options, output that is checked. Unlike the libraries, this
 * prints.
 */
#ifndef STRAY_COMMANDS_COMMON_H
#define STRAY_COMMANDS_COMMON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "commands/inputs.h"
#include "read/trace.h"
#include "safe.h"

/* Exit statuses of verbs that read traces. */
enum { STATUS_DONE = 0, STATUS_DAMAGED = 1 /* verify only */, STATUS_UNREADABLE = 2 /* or wrong usage */ };
/* Of verbs that trace: nothing was begun. */
enum { STATUS_REFUSED = 125 };
/* No exit status: the options ask for the usage. */
enum { STATUS_HELP = -1 };

/* Writes the one line "stray: ..." to standard error and returns STATUS_UNREADABLE. Control characters in
 * what is printed are escaped, so that it stays one line. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for what is no failure. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with "WHAT: WHY" for a verb that traces; returns STATUS_REFUSED. */
int refuse(const char *what, const char *why);

/* What verbs that only take --format and --help have on their command line. */
struct simple_options {
    bool json;
    int first; /* index in argv of the first argument that is no option */
};

/* 1: go on. 0: --help was asked for and `usage` printed. -1: wrong usage, and that was said. */
int simple_options_parse(int argc, char **argv, const char *usage, struct simple_options *ret_options);

/* Parses the command line of a verb that takes traces and simple options only, and finds the traces. True: go on, with
 * *ret_status = STATUS_DONE. False: *ret_status is what the verb returns. */
bool simple_verb_begin(int argc, char **argv, const char *usage, inputs_finder *find, struct simple_options *ret_options,
                       struct inputs *ret_inputs, int *ret_status);

/* Whether standard output is a terminal that is to show colours: NO_COLOR is obeyed. */
bool terminal_has_colors(void);
/* For --help: prints, and returns what output_finish() says. */
int usage_print(const char *usage);
/* Flushes standard output: STATUS_DONE, or STATUS_UNREADABLE after saying why it could not be written. */
int output_finish(void);

/* A number that may exceed JSON's integers: those above INT64_MAX become strings of hexadecimal digits. */
json_t *json_number(uint64_t value);
/* Prints and releases `value`, with a newline; false if memory ran out. */
bool json_print(json_t *value, size_t flags);

/* What is wrong with a trace, as a phrase: "2 damaged frames, 512 bytes skipped"; empty if nothing is. Lost
 * events are left out, as they are no fault of the file. */
void damage_describe(const struct damage *damage, char *text, size_t size);

#endif
