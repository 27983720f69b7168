/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/listing.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "read/array.h"
#include "safe.h"

bool listing_wants_resource(const struct listing_filter *filter, unsigned resource)
{
    return filter->resources == 0 || (filter->resources >> resource & 1);
}

bool listing_matches(const char *pattern, const char *text)
{
    if (!text)
        return false;
    return strpbrk(pattern, "*?[") ? fnmatch(pattern, text, 0) == 0 : strstr(text, pattern) != NULL;
}

bool listing_wants_site(const struct listing_filter *filter, const struct report_frame *frame)
{
    char place[4300];
    if (!filter->site)
        return true;
    if (!frame)
        return false;
    snprintf(place, sizeof(place), "%s:%" PRIu32, frame->file ? frame->file : "", frame->line);
    return listing_matches(filter->site, frame->function) || listing_matches(filter->site, frame->file) ||
           (frame->file && listing_matches(filter->site, place)) ||
           listing_matches(filter->site, frame->module);
}

/* How a moment lies to the one asked for, both as they are shown: below 0 if it is earlier. */
static int shown_order(const struct listing_time *time, double seconds, uint64_t realtime_ns)
{
    if (time->calendar) {
        uint64_t shown = realtime_ns / 1000, wanted = time->realtime_ns / 1000;
        return (shown > wanted) - (shown < wanted);
    }
    double scale = time->fine ? 1e6 : 1e3, shown = round(seconds * scale), wanted = round(time->seconds * scale);
    return (shown > wanted) - (shown < wanted);
}

/* What has no place in the calendar is not shown to who asks by it. */
static bool before(const struct listing_time *time, double seconds, uint64_t realtime_ns)
{
    return (time->calendar && realtime_ns == 0) || shown_order(time, seconds, realtime_ns) < 0;
}

static bool after(const struct listing_time *time, double seconds, uint64_t realtime_ns)
{
    return (time->calendar && realtime_ns == 0) || shown_order(time, seconds, realtime_ns) > 0;
}

bool listing_wants_time(const struct listing_filter *filter, double first_s, double last_s, uint64_t first_ns,
                        uint64_t last_ns)
{
    return !(filter->since.given && before(&filter->since, last_s, last_ns)) &&
           !(filter->until.given && after(&filter->until, first_s, first_ns));
}

/* ---- order ---- */

struct ordering {
    const struct listing_filter *filter;
    const void *rows;
    listing_keys *keys;
};

/* What is missing comes last. */
static int known_first(const char *a, const char *b)
{
    if (!a || !b)
        return (a == NULL) - (b == NULL);
    return strcmp(a, b);
}

static int key_order(const struct listing_key *a, const struct listing_key *b)
{
    if (!a->number)
        return known_first(a->text, b->text);
    int order = (a->value < b->value) - (a->value > b->value);
    return a->ascending ? -order : order;
}

static int row_order(const void *left, const void *right, void *data)
{
    const struct ordering *ordering = data;
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    int order = 0;
    if (ordering->filter->sort) {
        struct listing_key first = ordering->keys(ordering->rows, a, ordering->filter->sort);
        struct listing_key second = ordering->keys(ordering->rows, b, ordering->filter->sort);
        order = key_order(&first, &second);
    }
    if (order == 0)
        order = (a > b) - (a < b);
    return ordering->filter->reverse ? -order : order;
}

size_t listing_arrange(const struct listing_filter *filter, const void *rows, listing_keys *keys,
                       const char *own_min, size_t *wanted, size_t count)
{
    struct ordering ordering = {filter, rows, keys};
    const char *column = filter->sort ? filter->sort : own_min;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct listing_key key = keys(rows, wanted[i], column);
        if (!filter->min_given || (key.number && key.value >= filter->min))
            wanted[kept++] = wanted[i];
    }
    if (kept > 1)
        qsort_r(wanted, kept, sizeof(*wanted), row_order, &ordering);
    return filter->limit && kept > filter->limit ? filter->limit : kept;
}

/* ---- columns ---- */

void grid_add(struct grid *grid, const char *format, ...)
{
    char *text = NULL, *safe;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    safe = length < 0 ? NULL : safe_text(text);
    if (length >= 0)
        free(text);
    char **grown = safe ? array_grow(grid->cells, &grid->room, grid->count, sizeof(*grown)) : NULL;
    if (!grown) {
        free(safe);
        grid->failed = true;
        return;
    }
    grid->cells = grown;
    grown[grid->count++] = safe;
}

static void print_cell(const struct grid *grid, size_t column, const char *text, size_t width, FILE *out)
{
    size_t blank = width - shown_columns(text);
    if (column > 0)
        fputs("  ", out);
    if (grid->columns[column].right)
        fprintf(out, "%*s%s", (int)blank, "", text);
    else
        fprintf(out, "%s%*s", text, column + 1 < grid->column_count ? (int)blank : 0, "");
}

static void print_grid(const struct grid *grid, FILE *out)
{
    size_t widths[GRID_COLUMNS];
    for (size_t i = 0; i < grid->column_count; i++)
        widths[i] = shown_columns(grid->columns[i].title);
    for (size_t i = 0; i < grid->count; i++) {
        size_t width = shown_columns(grid->cells[i]), *widest = &widths[i % grid->column_count];
        *widest = width > *widest ? width : *widest;
    }
    for (size_t i = 0; i < grid->column_count; i++)
        print_cell(grid, i, grid->columns[i].title, widths[i], out);
    fputc('\n', out);
    for (size_t i = 0; i < grid->count; i++) {
        print_cell(grid, i % grid->column_count, grid->cells[i], widths[i % grid->column_count], out);
        if (i % grid->column_count + 1 == grid->column_count)
            fputc('\n', out);
    }
}

int grid_finish(struct grid *grid, FILE *out)
{
    if (!grid->failed)
        print_grid(grid, out);
    for (size_t i = 0; i < grid->count; i++)
        free(grid->cells[i]);
    free(grid->cells);
    return grid->failed ? -ENOMEM : ferror(out) ? -EIO : 0;
}

void listing_frame(const struct report_frame *frame, char *text, size_t size)
{
    const char *slash = frame && frame->module ? strrchr(frame->module, '/') : NULL;
    if (!frame)
        snprintf(text, size, "(no stack)");
    else if (!frame->function)
        snprintf(text, size, "%s+0x%" PRIx64,
                 slash           ? slash + 1
                 : frame->module ? frame->module
                                 : "?",
                 frame->offset);
    else if (frame->file)
        snprintf(text, size, "%s%s  %s:%" PRIu32, frame->function, frame->python ? "()" : "", frame->file,
                 frame->line);
    else
        snprintf(text, size, "%s%s  %s", frame->function, frame->python ? "()" : "",
                 frame->module ? frame->module : "?");
}
