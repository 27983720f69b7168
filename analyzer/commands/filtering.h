/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of verbs that list: sites, conns and sql. */
#ifndef STRAY_COMMANDS_FILTERING_H
#define STRAY_COMMANDS_FILTERING_H

#include "commands/common.h"
#include "commands/options.h"
#include "views/listing.h"
#include "views/report.h"

/* Codes of the options that choose rows, and in what order they come; above those of whose code it is. */
enum {
    FILTERING_RESOURCE = 1100,
    FILTERING_SITE,
    FILTERING_PEER,
    FILTERING_SINCE,
    FILTERING_UNTIL,
    FILTERING_MIN,
    FILTERING_SORT,
    FILTERING_REVERSE,
    FILTERING_LIMIT
};

// clang-format off
#define FILTERING_OPTIONS                                                                                    \
    {"resource", required_argument, NULL, FILTERING_RESOURCE},                                               \
    {"site", required_argument, NULL, FILTERING_SITE},                                                       \
    {"peer", required_argument, NULL, FILTERING_PEER},                                                       \
    {"since", required_argument, NULL, FILTERING_SINCE},                                                     \
    {"until", required_argument, NULL, FILTERING_UNTIL},                                                     \
    {"min", required_argument, NULL, FILTERING_MIN},                                                         \
    {"sort", required_argument, NULL, FILTERING_SORT},                                                       \
    {"reverse", no_argument, NULL, FILTERING_REVERSE},                                                       \
    {"limit", required_argument, NULL, FILTERING_LIMIT}
// clang-format on

/* Whether `code` is one of them; and takes one in, whose value is `optarg`. `columns`: NULL-ended names for --sort. */
bool filtering_has(int code);
int filtering_set(struct listing_filter *filter, const char *const *columns, int code);

/* For the usage of verbs that know them; and what those that list know besides. */
#define CHOICE_USAGE                                                                                         \
    "  --resource KIND,...    heap, connection, pgconn, ...\n"                                               \
    "  --peer PATTERN         part of a peer, or a glob\n"                                                   \
    "  --site PATTERN         part of a function's name, of file:line or of a\n"                             \
    "                         module's path; or a glob\n"                                                    \
    "  --since, --until TIME  from the process's start, with s, m, h or d; or RFC\n"                         \
    "                         3339. Both ends count, as times are shown: to the\n"                           \
    "                         millisecond, and where TIME has more than three\n"                             \
    "                         decimals or is RFC 3339 to the microsecond\n"                                  \
    "  --min N                at least N in the column sorted by\n"                                          \
    "  --sort COLUMN          numbers from the largest, times and texts from the\n"                          \
    "                         first\n"                                                                       \
    "  --reverse              the other way round\n"                                                         \
    "  --limit N              the first N\n"
#define FILTER_USAGE                                                                                         \
    CHOICE_USAGE                                                                                             \
    "  --library, --mine GLOB whose code it is, as in stray report; may be repeated\n"                       \
    "  --format text|json\n"                                                                                 \
    "  -o, --output FILE      write there instead of to standard output (made with\n"                        \
    "                         mode 0600)\n"

struct listing_options;

struct listing_verb {
    const char *name, *usage;
    const char *const *columns; /* NULL-ended names for --sort */
    uint64_t resources;         /* a bit for each that it has lines of */
    int (*list)(const struct listing_options *options);
};

struct listing_options {
    struct listing_filter filter;
    struct common_options common;
    bool json;
    struct inputs inputs; /* to be freed */
    const struct listing_verb *verb;
};

/* All of it: parses, finds the traces, and lets `list` do the rest. Returns the exit status. */
int listing_run(int argc, char **argv, const struct listing_verb *verb);

/* When the traces have been read: whether they know what --resource names, and the verb has lines of it; an empty list would be taken
 * for none of them in the trace. STATUS_DONE, or what is wrong was said. */
int listing_check(const struct listing_options *options);

/* What is listed of a report. */
struct report_list {
    bool sites, statements; /* of these it is */
    int (*select)(struct report *report, const struct listing_filter *filter);
    int (*write_text)(const struct report *report, FILE *out);
    int (*write_json)(const struct report *report, FILE *out);
};
/* The `list` of such a verb: builds the report, selects and writes. */
int listing_of_report(const struct listing_options *options, const struct report_list *list);

#endif
