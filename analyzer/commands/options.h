/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What several verbs understand on their command lines. Each function that returns an int says what is wrong and returns
 * STATUS_UNREADABLE, or STATUS_DONE. */
#ifndef STRAY_COMMANDS_OPTIONS_H
#define STRAY_COMMANDS_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "views/report.h"

#define GLOBS_MAX 64

/* A NULL-ended list, as the views want it. */
struct globs {
    const char *items[GLOBS_MAX + 1];
    size_t count;
};


/* Whose code it is: --library and --mine, for the views. */
struct whose {
    struct globs library, mine;
};

enum { OPTION_LIBRARY = 1000, OPTION_MINE, OPTION_HELP };
#define WHOSE_OPTIONS {"library", required_argument, NULL, OPTION_LIBRARY}, {"mine", required_argument, NULL, OPTION_MINE}

/* Takes in one of the two, whose value is `optarg`. */
int whose_add(struct whose *whose, int code);

/* What all verbs understand that read traces and write what they say of them. */
struct common_options {
    struct whose whose;
    const char *output; /* NULL: standard output */
};

/* The end of their lists of options. */
#define COMMON_OPTIONS \
    WHOSE_OPTIONS, {"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, OPTION_HELP}, {NULL, 0, NULL, 0}

/* Takes in one of these, whose value is `optarg`. Returns as an option_setter does. */
int common_option(struct common_options *options, int code);

/* Digits and nothing else: strtoull would take signs and blanks. False also for an overflow. *ret_end: what follows. */
bool digits_parse(const char *text, const char **ret_end, uint64_t *ret_number);
/* Bytes, or a number with K, M or G, and nothing behind. */
bool size_parse(const char *text, uint64_t *ret_size);
/* Seconds, or a number with s, m, h or d. */
bool seconds_parse(const char *text, double *ret_seconds);
/* STRAY_RESOURCE_NONE: no resource of stray's own is called so. */
unsigned resource_parse(const char *word, size_t length);

/* What stands behind the last "=" of NAME=VALUE, for a peer may hold one, which is cut there. NULL, and nothing is cut: there
 * is no value, or no name. */
char *option_value(char *text);
/* `option` is what the text was given to, for the message. */
int option_count(const char *option, const char *text, uint64_t *ret_count);
int option_size(const char *option, const char *text, uint64_t *ret_size);
/* ... as seconds_parse() does. */
int option_seconds(const char *option, const char *text, double *ret_seconds);

/* "heap,connection": a bit for each, added to those that are there. What may be the name of a user-defined pair is one of that; when the traces have been read,
 * the second says whether they know it. */
int option_resources(const char *list, uint64_t *ret_resources);
int option_resources_found(uint64_t resources);

/* --color of a verb that colours; `when` is NULL where no value is given. */
int option_color(const char *when, bool *color);

/* --format of verbs that know text and JSON. */
int option_json(const char *format, bool *ret_json);
/* ... and of those that make a page as well. */
enum output_format { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_HTML };
int option_format(const char *format, enum output_format *ret_format);

/* Takes one option in, whose value is `optarg`. STATUS_DONE to go on; STATUS_HELP and all else ends the parsing. */
typedef int option_setter(void *options, int code);

/* Lets `set` take in each option of a command line. What `set` returned last; STATUS_HELP also for -h, unless `letters` have it;
 * STATUS_UNREADABLE, after saying so, for what is no option or lacks its value. From argv[optind] on stands the rest. */
int options_parse(int argc, char **argv, const char *letters, const struct option *long_options,
                  option_setter *set, void *options);

#endif
