/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exports of lives that were made here; tests/e2e/test_exports.py reads real ones with the tools they are
 * for. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "outfile.h"
#include "views/tables.h"

enum { PLACE = 10, OTHER = 20 };

static struct feed feed;
static struct ledger *ledger;
static const struct export_options opened = {.weight = WEIGHT_OPENED}, open_ones = {.weight = WEIGHT_OPEN},
                                   bytes = {.weight = WEIGHT_BYTES},
                                   sockets = {.resources = 1u << STRAY_SOCKET};

static void begin(void)
{
    feed_open(&feed);
    feed_keep_ledger(&feed);
    for (uint64_t i = 0; i < 3; i++)
        feed_connect(&feed, 10 + i, 1, PLACE);
    feed_close(&feed, 10, BY_CLOSE);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x5000, 100, OTHER);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x6000, 11, OTHER);
    feed_exit(&feed);
    feed_close(&feed, 11, BY_CLOSE);
    ledger = feed_ledger(&feed);
}

static void end(void)
{
    ledger_free(ledger);
    feed_close_all(&feed);
}

TestSuite(exports, .init = begin, .fini = end);

static char *written(export_stream *stream, const struct export_options *options)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(stream(ledger, options, out), 0);
    fclose(out);
    return text;
}

static void expect(export_stream *stream, const struct export_options *options, const char *expected)
{
    char *text = written(stream, options);
    cr_expect_str_eq(text, expected);
    free(text);
}

Test(exports, folded_by_each_weight)
{
    expect(export_folded, &opened, "connection;f10 (app.py:10) 3\nheap;f20 (app.py:20) 2\n");
    expect(export_folded, &open_ones, "connection;f10 (app.py:10) 2\nheap;f20 (app.py:20) 2\n");
    expect(export_folded, &bytes, "heap;f20 (app.py:20) 111\n");
    expect(export_folded, &sockets, "");
}

Test(exports, semicolons_do_not_split_a_frame)
{
    ledger->frames[0].function = "a;b";
    char *text = written(export_folded, &opened);
    cr_expect(strstr(text, ";a:b (app.py:"), "%s", text);
    free(text);
}

Test(exports, labels_are_escaped)
{
    ledger->report->sites[0].site.function = "a\"b\\c\n";
    char *text = written(export_openmetrics, &opened);
    cr_expect(strstr(text, "function=\"a\\\"b\\\\c\\\\x0a\""), "%s", text);
    cr_expect_str_eq(text + strlen(text) - 6, "# EOF\n");
    free(text);
}

Test(exports, equal_labels_are_added_up)
{
    struct report *report = ledger->report;
    cr_assert_eq(report->site_count, 2);
    report->sites[1] = report->sites[0];
    report->sites[0].opened = 5;
    report->sites[1].opened = 7;
    char *text = written(export_openmetrics, &opened);
    char *first = strstr(text, "\nstray_opened_total{");
    cr_assert(first);
    cr_expect(strstr(first, "} 12\n"), "%s", first);
    cr_expect_null(strstr(first + 1, "\nstray_opened_total{"));
    free(text);
}

static int count_row(void *data, const struct cell *cells)
{
    ++*(size_t *)data;
    return 0;
}

Test(exports, every_table_gives_the_rows_there_are)
{
    static const struct {
        const char *name;
        size_t rows;
    } expected[] = {{"trace", 1},       {"process", 1}, {"frame", 3}, {"stack", 3},
                    {"stack_frame", 3}, {"place", 3},   {"life", 3},  {"site", 2}};
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        size_t rows = 0;
        cr_assert_str_eq(tables[i].name, expected[i].name);
        cr_expect_eq(table_give(&tables[i], ledger, &open_ones, &(struct table_sink){&rows, count_row}), 0);
        cr_expect_eq(rows, expected[i].rows, "%s: %zu", expected[i].name, rows);
    }
}

static int refuse_row(void *data, const struct cell *cells)
{
    return -28;
}

Test(exports, a_sink_that_fails_ends_a_table)
{
    for (const struct table *table = tables; table->name; table++) {
        int result = table_give(table, ledger, &open_ones, &(struct table_sink){NULL, refuse_row});
        cr_expect(result == -28 || strcmp(table->name, "finding") == 0, "%s", table->name);
    }
}

Test(exports, columns_have_names_and_keys_are_not_null)
{
    for (const struct table *table = tables; table->name; table++) {
        size_t width = table_width(table);
        cr_expect(width > 0 && width <= TABLE_COLUMNS);
        cr_expect_not(table->columns[0].nullable && table->keyed, "%s", table->name);
    }
}

Test(exports, a_life_that_is_open_ends_with_the_process)
{
    char *text = written(export_perfetto, &opened);
    json_t *object = json_loads(text, 0, NULL), *event, *list = json_object_get(object, "traceEvents");
    size_t index, slices = 0;
    double last = 0;
    json_array_foreach(list, index, event)
    {
        const char *phase = json_string_value(json_object_get(event, "ph"));
        slices += strcmp(phase, "b") == 0;
        if (strcmp(phase, "e") == 0)
            last = json_real_value(json_object_get(event, "ts"));
    }
    cr_expect_eq(slices, 3);
    cr_expect_float_eq(last, (double)feed.now / 1e3, 0.01);
    json_decref(object);
    free(text);
}

Test(export, why_a_file_could_not_be_written_is_remembered)
{
    static char block[100000];
    struct outfile file;
    cr_assert_eq(outfile_open(&file, open("/dev/full", O_WRONLY | O_CLOEXEC)), 0);
    cr_expect_lt(fwrite(block, 1, sizeof(block), file.stream), sizeof(block));
    errno = EIO; /* what was called since */
    cr_expect_eq(outfile_close(&file), -ENOSPC);
    cr_expect_eq(outfile_open(&file, open("/nosuch/file", O_WRONLY | O_CLOEXEC)), -ENOENT);
}
