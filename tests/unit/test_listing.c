/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which rows a list shows, in what order, and how they look. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "views/listing.h"

Test(listing, patterns_are_parts_or_globs)
{
    cr_expect(listing_matches("validate", "app.validate_jwt"));
    cr_expect(listing_matches("app.*_jwt", "app.validate_jwt"));
    cr_expect(listing_matches("*jw[st]", "app.validate_jwt"));
    cr_expect_not(listing_matches("validate*", "app.validate_jwt"), "a glob is about the whole text");
    cr_expect_not(listing_matches("revoke", "app.validate_jwt"));
    cr_expect_not(listing_matches("*", NULL));
    cr_expect(listing_matches("", "x"));
}

Test(listing, a_site_is_found_by_function_place_or_module)
{
    struct report_frame frame = {
        .function = "connect", .file = "/srv/app/db.py", .line = 42, .module = "/srv/app/lib.so"};
    static const char *const good[] = {"connect", "db.py:42", "/srv/app/*:42",
                                       "*/db.py", "lib.so",   "/srv/app/db.py"};
    static const char *const bad[] = {"disconnect", "db.py:421", "db.py:4?2", "42"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct listing_filter filter = {.site = good[i]};
        cr_expect(listing_wants_site(&filter, &frame), "%s", good[i]);
        cr_expect_not(listing_wants_site(&filter, NULL));
    }
    for (size_t i = 0; i + 1 < sizeof(bad) / sizeof(*bad); i++) {
        struct listing_filter filter = {.site = bad[i]};
        cr_expect_not(listing_wants_site(&filter, &frame), "%s", bad[i]);
    }
    struct listing_filter any = {0};
    cr_expect(listing_wants_site(&any, NULL));
}

Test(listing, times_are_spans_that_overlap)
{
    struct listing_filter filter = {.since = {.given = true, .seconds = 5},
                                    .until = {.given = true, .seconds = 8}};
    cr_expect(listing_wants_time(&filter, 5, 5, 0, 0));
    cr_expect(listing_wants_time(&filter, 8, 8, 0, 0));
    cr_expect(listing_wants_time(&filter, 1, 100, 0, 0));
    cr_expect_not(listing_wants_time(&filter, 1, 4.9, 0, 0));
    cr_expect_not(listing_wants_time(&filter, 8.1, 9, 0, 0));
    filter = (struct listing_filter){.since = {.given = true, .calendar = true, .realtime_ns = 1000}};
    cr_expect(listing_wants_time(&filter, 0, 0, 1000, 1000));
    cr_expect_not(listing_wants_time(&filter, 0, 0, 999, 999));
    cr_expect_not(listing_wants_time(&filter, 0, 0, 0, 0), "no place in the calendar is known");
}

static bool wants_moment(struct listing_time wanted, double seconds, uint64_t realtime_ns)
{
    struct listing_filter filter = {.since = wanted, .until = wanted};
    return listing_wants_time(&filter, seconds, seconds, realtime_ns, realtime_ns);
}

Test(listing, times_are_compared_as_they_are_shown)
{
    struct listing_time coarse = {.given = true, .seconds = 0.123};
    cr_expect(wants_moment(coarse, 0.1234, 0));
    cr_expect(wants_moment(coarse, 0.1226, 0));
    cr_expect_not(wants_moment(coarse, 0.1236, 0));
    cr_expect_not(wants_moment(coarse, 0.1224, 0));
    struct listing_time fine = {.given = true, .fine = true, .seconds = 0.123456};
    cr_expect(wants_moment(fine, 0.1234564, 0));
    cr_expect(wants_moment(fine, 0.1234556, 0));
    cr_expect_not(wants_moment(fine, 0.1234566, 0));
    cr_expect_not(wants_moment(fine, 0.1234554, 0));
    struct listing_time calendar = {.given = true, .calendar = true, .realtime_ns = 1790000000123456000};
    cr_expect(wants_moment(calendar, 0, 1790000000123456000));
    cr_expect(wants_moment(calendar, 0, 1790000000123456999));
    cr_expect_not(wants_moment(calendar, 0, 1790000000123455999));
    cr_expect_not(wants_moment(calendar, 0, 1790000000123457000));
}

static const double numbers[] = {3, 1, 2, 3, NAN};

static struct listing_key number_key(const void *rows, size_t row, const char *name)
{
    if (strcmp(name, "text") == 0)
        return (struct listing_key){.text = row == 2 ? NULL : row % 2 ? "a" : "b"};
    return (struct listing_key){
        .number = true, .ascending = strcmp(name, "time") == 0, .value = ((const double *)rows)[row]};
}

static void expect_order(const struct listing_filter *filter, size_t count, const size_t *expected)
{
    size_t rows[] = {0, 1, 2, 3};
    cr_assert_eq(listing_arrange(filter, numbers, number_key, "number", rows, 4), count);
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(rows[i], expected[i], "%zu. is %zu, not %zu", i, rows[i], expected[i]);
}

#define ORDER(...) ((const size_t[]){__VA_ARGS__})

Test(listing, order_minimum_and_limit)
{
    expect_order(&(struct listing_filter){0}, 4, ORDER(0, 1, 2, 3));
    expect_order(&(struct listing_filter){.reverse = true}, 4, ORDER(3, 2, 1, 0));
    expect_order(&(struct listing_filter){.sort = "number"}, 4, ORDER(0, 3, 2, 1));
    expect_order(&(struct listing_filter){.sort = "time"}, 4, ORDER(1, 2, 0, 3));
    expect_order(&(struct listing_filter){.sort = "text"}, 4, ORDER(1, 3, 0, 2));
    expect_order(&(struct listing_filter){.min_given = true, .min = 2}, 3, ORDER(0, 2, 3));
    expect_order(&(struct listing_filter){.sort = "text", .min_given = true, .min = 0}, 0, ORDER(0));
    expect_order(&(struct listing_filter){.sort = "number", .limit = 2}, 2, ORDER(0, 3));
}

static char *print(struct grid *grid)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(grid_finish(grid, out), 0);
    fclose(out);
    return text;
}

Test(listing, columns_line_up_and_cannot_command_the_terminal)
{
    static const struct grid_column columns[] = {{"n", true}, {"name", false}, {"place", false}};
    struct grid grid = {.columns = columns, .column_count = 3};
    grid_add(&grid, "%d", 5);
    grid_add(&grid, "%s", "\xc3\xa9t\xc3\xa9");
    grid_add(&grid, "%s", "\x1b[2J\n\xc2\x9b");
    grid_add(&grid, "%d", 1234);
    grid_add(&grid, "%s", "longer");
    grid_add(&grid, "%s", "here");
    char *text = print(&grid);
    cr_expect_str_eq(
        text,
        "   n  name    place\n   5  \xc3\xa9t\xc3\xa9     \\x1b[2J\\x0a\\xc2\\x9b\n1234  longer  here\n");
    free(text);
}

Test(listing, frames)
{
    char text[100];
    listing_frame(NULL, text, sizeof(text));
    cr_expect_str_eq(text, "(no stack)");
    listing_frame(&(struct report_frame){.function = "f", .file = "a.py", .line = 3, .python = true}, text,
                  sizeof(text));
    cr_expect_str_eq(text, "f()  a.py:3");
    listing_frame(&(struct report_frame){.module = "/lib/libx.so", .offset = 0x12}, text, sizeof(text));
    cr_expect_str_eq(text, "libx.so+0x12");
    listing_frame(&(struct report_frame){.offset = 0x12}, text, sizeof(text));
    cr_expect_str_eq(text, "?+0x12");
}
