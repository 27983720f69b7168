/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data of a page: nothing that a trace says can end its element or make the page long. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "json_memory.h"
#include "views/html.h"
#include "views/html_parts.h"
#include "views/places.h"

#define PLACE 10

static char *data_of(const json_t *value)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(html_write_data(value, out), 0);
    fclose(out);
    return text;
}

Test(html, data_cannot_end_its_element)
{
    static const char *const texts[] = {"</script><script>alert(1)</script>", "<!--<script>", "]]>", "\xe2\x80\xa8\xe2\x80\xa9", "\xc3\xa9\xf0\x9f\x98\x80",
                                        "\x01\x1b[2J\x7f", "\\\\\"'&<", "\\u003c/script>"};
    json_memory_watch();
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        json_array_append_new(list, json_string(texts[i]));
        json_array_append_new(list, json_pack("{s:i}", texts[i], 1));
    }
    char *data = data_of(list);
    cr_expect_null(strchr(data, '<'));
    for (const char *p = data; *p; p++)
        cr_assert(*p >= ' ', "byte %d", *p);
    json_t *again = json_loads(data, 0, NULL);
    cr_expect(json_equal(again, list), "%s", data);
    json_decref(again);
    json_decref(list);
    free(data);
}

static void expect_cut(size_t length, const char *unit)
{
    char text[8192] = "";
    for (size_t i = 0; i < length; i++)
        strcat(text, unit);
    json_t *value = json_pack("{s:s, s:[s]}", "name", text, "list", text);
    html_shorten(value);
    const char *name = json_string_value(json_object_get(value, "name"));
    cr_assert(name, "it must stay UTF-8");
    cr_expect_leq(strlen(name), 2003);
    cr_expect_geq(strlen(name), 1990);
    cr_expect_eq(strncmp(name, text, strlen(name) - 3), 0);
    cr_expect_str_eq(name + strlen(name) - 3, "\xe2\x80\xa6");
    cr_expect_str_eq(json_string_value(json_array_get(json_object_get(value, "list"), 0)), name);
    json_decref(value);
}

Test(html, long_texts_are_cut_between_characters)
{
    expect_cut(3000, "a");
    expect_cut(2001, "\xc3\xa9");
    expect_cut(1001, "\xe2\x82\xac");
    expect_cut(700, "\xf0\x9f\x98\x80");
}

Test(html, others_are_not)
{
    json_t *value = json_pack("{s:s, s:n, s:f, s:[i, b]}", "name", "caf\xc3\xa9", "none", "real", 1.5, "list", 3, 1), *copy = json_deep_copy(value);
    html_shorten(value);
    cr_expect(json_equal(value, copy));
    json_decref(value);
    json_decref(copy);
}

/* The data of a page of a report on what `feed` was told. */
static json_t *page_of(struct feed *feed)
{
    struct ledger *ledger = feed_ledger(feed);
    char *page;
    size_t size;
    FILE *out = open_memstream(&page, &size);
    cr_assert_eq(html_write_report(ledger, true, out), 0);
    fclose(out);
    ledger_free(ledger);
    cr_expect_eq(strncmp(page, "<!DOCTYPE html>", 15), 0);
    char *begin = strstr(page, "id=\"data\">") + strlen("id=\"data\">"), *end = strstr(begin, "</script>");
    json_t *data = json_loadb(begin, (size_t)(end - begin), 0, NULL);
    cr_assert(data);
    free(page);
    return data;
}

Test(html, a_page_has_the_report_and_more)
{
    struct feed feed;
    feed_open(&feed);
    feed_keep_ledger(&feed);
    feed.places = true;
    for (uint64_t i = 0; i < 60; i++) {
        feed_connect(&feed, 10 + i, 1, PLACE);
        feed_wait(&feed, 100 * MS);
    }
    json_t *data = page_of(&feed), *page = json_object_get(data, "page");
    json_t *finding = json_array_get(json_object_get(data, "findings"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(data, "schema")), "stray-report/1");
    cr_expect_str_eq(json_string_value(json_object_get(finding, "verdict")), "leaked");
    cr_expect_null(json_object_get(finding, "stack"), "it is in the tree");
    json_int_t node = json_integer_value(json_object_get(finding, "node"));
    json_int_t frame = json_integer_value(json_array_get(json_object_get(page, "node_frames"), (size_t)node));
    json_t *named = json_array_get(json_array_get(json_object_get(page, "frames"), (size_t)frame), 0);
    cr_expect_str_eq(json_string_value(named), "f10");
    cr_expect_str_eq(json_string_value(json_object_get(finding, "suppression")), "connection:^f10$");
    cr_expect_eq(json_array_size(json_object_get(page, "timelines")), 1);
    cr_expect_eq(json_array_size(json_object_get(finding, "places")), 1);
    json_decref(data);
    feed_close_all(&feed);
}

/* More findings than a page lists: it says how many there are all the same. */
Test(html, findings_beyond_the_list_are_counted)
{
    struct feed feed;
    feed_open(&feed);
    feed_keep_ledger(&feed);
    feed.places = true;
    for (uint64_t i = 0; i < 10; i++) {
        for (uint32_t place = 0; place < 410; place++)
            feed_connect(&feed, 1000 + i * 1000 + place, 1, PLACE + place);
        feed_wait(&feed, 600 * MS);
    }
    json_t *data = page_of(&feed), *page = json_object_get(data, "page");
    cr_expect_eq(json_array_size(json_object_get(data, "findings")), 400);
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(page, "left_out"), "findings")), 10);
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(page, "tally"), "leaks")), 410);
    json_decref(data);
    feed_close_all(&feed);
}
