/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lists have in common: which rows are wanted, in what order, and columns that line up. Pure but for
 * printing.
 */
#ifndef STRAY_VIEWS_LISTING_H
#define STRAY_VIEWS_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "views/report.h"

/* A moment as people name it: seconds from the start of each process, or a point of the calendar. */
struct listing_time {
    bool given, calendar;
    bool fine; /* seconds were given to more than a thousandth */
    double seconds;
    uint64_t realtime_ns;
};

/* What one may ask of a list. Zeroed: everything. */
struct listing_filter {
    uint64_t resources;      /* a bit for each kind wanted; 0: all */
    const char *site, *peer; /* a part of the text, or a glob; NULL: any */
    struct listing_time since, until;
    const char *sort; /* name of a column; NULL: the list's own order */
    bool reverse;
    bool min_given;
    double min;   /* of the column sorted by; of the list's own choice where none is named */
    size_t limit; /* 0: none */
};

/* What a column of a row holds. */
struct listing_key {
    bool number;    /* the largest first; else a text, in alphabetical order */
    bool ascending; /* ... or the smallest first */
    double value;
    const char *text; /* NULL comes last */
};

/* The key of row `row` in the column called `name`. */
typedef struct listing_key listing_keys(const void *rows, size_t row, const char *name);

bool listing_wants_resource(const struct listing_filter *filter, unsigned resource);
/* A pattern with *, ? or [ is a glob over all of `text`; else it is looked for in it. NULL matches no
 * pattern. */
bool listing_matches(const char *pattern, const char *text);
/* By function, "file:line", file or module. NULL: an unknown frame, which matches no pattern. */
bool listing_wants_site(const struct listing_filter *filter, const struct report_frame *frame);
/* Whether what began at `first` and went on to `last` (calendar: 0 where unknown) has a part in the time
 * wanted. Times are compared as they are shown, so that one that was shown can be asked for: seconds rounded to a thousandth,
 * or to a millionth where so many places were given, the calendar cut off below that. */
bool listing_wants_time(const struct listing_filter *filter, double first_s, double last_s, uint64_t first_ns,
                        uint64_t last_ns);

/* Leaves of the `count` indexes in `rows_wanted` those that reach the minimum, in order, at most `limit`;
 * returns how many. `own_min` names the column of the minimum where no order was asked for. */
size_t listing_arrange(const struct listing_filter *filter, const void *rows, listing_keys *keys,
                       const char *own_min, size_t *wanted, size_t count);

/* ---- columns ---- */

#define GRID_COLUMNS 16

struct grid_column {
    const char *title;
    bool right; /* numbers */
};

/* Rows of texts; a zeroed one with `columns` set is ready. */
struct grid {
    const struct grid_column *columns;
    size_t column_count;
    char **cells;
    size_t count, room;
    bool failed; /* without memory */
};

/* The next cell, row by row; printf-formatted, and made safe for terminals. */
void grid_add(struct grid *grid, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints titles and rows, each column as wide as it must be, and frees the cells. -ENOMEM if any could not be
 * kept. */
int grid_finish(struct grid *grid, FILE *out);

/* "function  file:line", "module+0x12"; "(no stack)" for NULL. */
void listing_frame(const struct report_frame *frame, char *text, size_t size);

#endif
