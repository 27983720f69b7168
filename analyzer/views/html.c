/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/html.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json_memory.h"
#include "views/html/html_page.h"
#include "views/html_parts.h"
#include "views/json.h"
#include "views/queries.h"
#include "views/suppress.h"

#define TEXT_MAX       2000 /* bytes of one text */
#define FINDINGS_MAX   400
#define STATEMENTS_MAX 200
#define PROCESSES_MAX  300
#define PEERS_MAX      300
#define SITES_MAX      3000
#define NOTES_MAX      100

/* ---- the data in its element ---- */

/* Nothing is written without memory for all of it. "<" begins all that could end the element or change how it is read; texts are
 * ASCII already. */
static char *data_of(const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15)) : NULL;
    if (!json_memory_failed())
        return text;
    free(text);
    return NULL;
}

static void put_escaped(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("\\u003c", out);
        else
            fputc(*text, out);
    }
}

int html_write_data(const json_t *value, FILE *out)
{
    char *text = data_of(value);
    if (!text)
        return -ENOMEM;
    put_escaped(text, out);
    free(text);
    return ferror(out) ? -EIO : 0;
}

/* Releases `value`, which may be NULL without memory. */
static int write_page(json_t *value, FILE *out)
{
    char *text = data_of(value);
    json_decref(value);
    if (!text)
        return -ENOMEM;
    fwrite(html_page_head, 1, html_page_head_size, out);
    put_escaped(text, out);
    fwrite(html_page_tail, 1, html_page_tail_size, out);
    free(text);
    return ferror(out) ? -EIO : 0;
}

/* ---- bounds ---- */

/* Not within a character. */
static size_t cut_at(const char *text, size_t size)
{
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
        size--;
    return size;
}

static json_t *shortened(const json_t *text)
{
    const char *bytes = json_string_value(text);
    char cut[TEXT_MAX + sizeof("\xe2\x80\xa6")];
    size_t size = cut_at(bytes, TEXT_MAX);
    memcpy(cut, bytes, size);
    strcpy(cut + size, "\xe2\x80\xa6");
    return json_string(cut);
}

static bool is_long(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) > TEXT_MAX;
}

void html_shorten(json_t *value)
{
    const char *key;
    size_t index;
    void *next;
    json_t *part;
    if (json_is_object(value)) {
        json_object_foreach_safe(value, next, key, part) {
            if (is_long(part))
                json_object_set_new(value, key, shortened(part));
            else
                html_shorten(part);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, index, part) {
            if (is_long(part))
                json_array_set_new(value, index, shortened(part));
            else
                html_shorten(part);
        }
    }
}

/* Ends the list early; `left_out` then says how many are not in it. */
static void limit(json_t *object, const char *name, size_t most, json_t *left_out)
{
    json_t *list = json_object_get(object, name);
    size_t count = json_array_size(list);
    for (size_t i = count; i > most; i--)
        json_array_remove(list, i - 1);
    if (count > most)
        json_object_set_new(left_out, name, json_whole(count - most));
}

/* ---- the report ---- */

/* Stacks share most of their frames: they go into the tree, and a finding says where. */
static int move_stacks(struct report *report, json_t *findings)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < json_array_size(findings); i++) {
        const struct report_finding *finding = &report->findings[i];
        json_t *object = json_array_get(findings, i), *places = json_array();
        char *suppression = suppression_for(finding);
        uint32_t node;
        result = tree_add(&report->places->tree, finding->stack.frames, finding->stack.count, &node);
        if (result == 0 && !suppression)
            result = -ENOMEM;
        json_object_del(object, "stack");
        json_object_set_new(object, "node", html_node(result == 0 ? node : TREE_ROOT));
        json_object_set_new(object, "suppression", json_text(suppression));
        if (finding->server)
            json_object_set_new(object, "accepted", json_true());
        for (size_t k = 0; k < report->places->count; k++)
            if (place_is_of(&report->places->items[k], finding))
                json_array_append_new(places, json_whole(k));
        json_object_set_new(object, "places", places);
        free(suppression);
    }
    return result;
}

/* Those that took most time. */
static int add_statements(struct report *report, json_t *page, json_t *left_out)
{
    struct listing_filter filter = {.limit = STATEMENTS_MAX};
    size_t all = report->statement_count;
    json_t *list = json_array();
    int result = queries_select(report, &filter);
    for (size_t i = 0; result == 0 && i < report->statement_count; i++)
        json_array_append_new(list, queries_json(&report->statements[i]));
    if (all > report->statement_count)
        json_object_set_new(left_out, "statements", json_whole(all - report->statement_count));
    json_object_set_new(page, "statements", list);
    return result;
}

static void bound_report(json_t *whole, json_t *left_out)
{
    limit(whole, "findings", FINDINGS_MAX, left_out);
    limit(whole, "processes", PROCESSES_MAX, left_out);
    limit(whole, "connections", PEERS_MAX, left_out);
    limit(whole, "sites", SITES_MAX, left_out);
    limit(json_object_get(whole, "trace"), "notes", NOTES_MAX, left_out);
}

int html_write_report(struct ledger *ledger, bool sites, FILE *out)
{
    struct report *report = ledger->report;
    struct timelines timelines;
    json_memory_watch();
    int result = timelines_make(ledger, &timelines);
    if (result < 0)
        return result;
    json_t *whole = report_json_whole(report, sites), *page = json_object(), *left_out = json_object();
    bound_report(whole, left_out);
    result = move_stacks(report, json_object_get(whole, "findings"));
    json_object_set_new(page, "tally", html_tally(report));
    json_object_set_new(page, "quiet", html_quiet(report));
    json_object_set_new(page, "series", html_series(ledger));
    json_object_set_new(page, "moments", html_moments(ledger));
    html_places(page, report->places, left_out);
    html_timelines(page, ledger, &timelines, left_out);
    if (result == 0)
        result = add_statements(report, page, left_out);
    html_tree(page, &report->places->tree);
    json_object_set_new(page, "left_out", left_out);
    json_object_set_new(whole, "page", page);
    html_shorten(whole);
    timelines_clear(&timelines);
    if (result == 0)
        return write_page(whole, out);
    json_decref(whole);
    return result;
}

/* ---- the comparison ---- */

int html_write_diff(const struct diff *diff, FILE *out)
{
    json_memory_watch();
    json_t *whole = diff_json(diff), *page = json_object();
    int result = html_diff_flame(page, diff);
    json_object_set_new(whole, "page", page);
    html_shorten(whole);
    if (result == 0)
        return write_page(whole, out);
    json_decref(whole);
    return result;
}
