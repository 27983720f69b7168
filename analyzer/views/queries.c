/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json_memory.h"
#include "views/queries.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "views/json.h"
#include "views/numbers.h"

const char *const queries_columns[] = {"total_s", "calls", "errors", "p50_s", "p95_s", "longest_s", "rows", "bytes",
                                       "connections", "sites", "first_s", "last_s", "statement", NULL};

static struct listing_key key_of(const void *rows, size_t row, const char *name)
{
    const struct report_statement *statement = &((const struct report_statement *)rows)[row];
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"total_s", statement->total_s},
        {"calls", (double)statement->calls},
        {"errors", (double)statement->errors},
        {"p50_s", durations_quantile(statement->durations, 0.5)},
        {"p95_s", durations_quantile(statement->durations, 0.95)},
        {"longest_s", statement->longest_s},
        {"rows", (double)statement->rows},
        {"bytes", (double)statement->bytes},
        {"connections", (double)statement->connections},
        {"sites", (double)statement->sender_count},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        if (strcmp(numbers[i].name, name) == 0)
            return (struct listing_key){.number = true, .value = numbers[i].value};
    if (strcmp(name, "first_s") == 0 || strcmp(name, "last_s") == 0)
        return (struct listing_key){
            .number = true, .ascending = true, .value = name[0] == 'f' ? statement->first_s : statement->last_s};
    return (struct listing_key){.text = statement->text};
}

static int sender_order(const void *left, const void *right)
{
    const struct report_sender *a = left, *b = right;
    if (a->calls != b->calls)
        return a->calls < b->calls ? 1 : -1;
    char one[1024], other[1024];
    listing_frame(a->known ? &a->frame : NULL, one, sizeof(one));
    listing_frame(b->known ? &b->frame : NULL, other, sizeof(other));
    return strcmp(one, other);
}

static bool wants_peer(const struct listing_filter *filter, const struct report_statement *statement)
{
    bool peer = !filter->peer;
    for (size_t i = 0; i < statement->peer_count && !peer; i++)
        peer = listing_matches(filter->peer, statement->peers[i]);
    return peer;
}

static bool wanted(const struct listing_filter *filter, const struct report_statement *statement)
{
    bool site = !filter->site;
    if (!listing_wants_resource(filter, STRAY_PGCONN) || !wants_peer(filter, statement))
        return false;
    for (size_t i = 0; i < statement->sender_count && !site; i++)
        site = listing_wants_site(filter, statement->senders[i].known ? &statement->senders[i].frame : NULL);
    return site && listing_wants_time(filter, statement->first_s, statement->last_s, statement->first_ns, statement->last_ns);
}

int queries_select(struct report *report, const struct listing_filter *filter)
{
    struct listing_filter how = *filter;
    size_t *rows = calloc(report->statement_count + 1, sizeof(*rows)), count = 0, all = report->statement_count;
    struct report_statement *kept = calloc(all + 1, sizeof(*kept));
    if (!rows || !kept) {
        free(rows);
        free(kept);
        return -ENOMEM;
    }
    if (!how.sort && !how.min_given)
        how.sort = "total_s";
    for (size_t i = 0; i < all; i++) {
        struct report_statement *statement = &report->statements[i];
        if (statement->sender_count > 1)
            qsort(statement->senders, statement->sender_count, sizeof(*statement->senders), sender_order);
        if (wanted(filter, statement))
            rows[count++] = i;
    }
    count = listing_arrange(&how, report->statements, key_of, "calls", rows, count);
    for (size_t i = 0; i < count; i++) {
        kept[i] = report->statements[rows[i]];
        report->statements[rows[i]] = (struct report_statement){0};
    }
    for (size_t i = 0; i < all; i++)
        report_statement_clear(&report->statements[i]);
    free(rows);
    free(report->statements);
    report->statements = kept;
    report->statement_count = count;
    return 0;
}

int queries_write_text(const struct report *report, FILE *out)
{
    static const struct grid_column columns[] = {{"total", true}, {"calls", true}, {"p50", true},         {"p95", true},
                                                 {"longest", true}, {"rows", true}, {"bytes", true}, {"errors", true},
                                                 {"conns", true}, {"sites", true}, {"place", false}, {"statement", false}};
    struct grid grid = {.columns = columns, .column_count = sizeof(columns) / sizeof(*columns)};
    for (size_t i = 0; i < report->statement_count; i++) {
        const struct report_statement *row = &report->statements[i];
        const struct report_sender *first = row->sender_count ? &row->senders[0] : NULL;
        struct words total, median, tail, longest, bytes;
        char place[1024];
        listing_frame(first && first->known ? &first->frame : NULL, place, sizeof(place));
        grid_add(&grid, "%s", words_duration(&total, row->total_s));
        grid_add(&grid, "%" PRIu64, row->calls);
        grid_add(&grid, "%s", words_duration(&median, durations_quantile(row->durations, 0.5)));
        grid_add(&grid, "%s", words_duration(&tail, durations_quantile(row->durations, 0.95)));
        grid_add(&grid, "%s", words_duration(&longest, row->longest_s));
        grid_add(&grid, "%" PRIu64, row->rows);
        grid_add(&grid, "%s", row->bytes ? words_bytes(&bytes, (double)row->bytes) : "-");
        grid_add(&grid, "%" PRIu64, row->errors);
        grid_add(&grid, "%" PRIu64, row->connections);
        grid_add(&grid, "%zu", row->sender_count);
        grid_add(&grid, "%s", place);
        grid_add(&grid, "%.200s", row->text ? row->text : "(not kept)");
    }
    return grid_finish(&grid, out);
}

json_t *queries_json(const struct report_statement *row)
{
    json_t *object = json_object(), *senders = json_array(), *peers = json_array();
    json_object_set_new(object, "fingerprint", json_string(row->fingerprint));
    json_object_set_new(object, "parsed", json_boolean(row->parsed));
    json_object_set_new(object, "statement", json_text(row->text));
    json_object_set_new(object, "calls", json_whole(row->calls));
    json_object_set_new(object, "errors", json_whole(row->errors));
    json_object_set_new(object, "total_s", report_json_real(row->total_s));
    json_object_set_new(object, "p50_s", report_json_real(durations_quantile(row->durations, 0.5)));
    json_object_set_new(object, "p95_s", report_json_real(durations_quantile(row->durations, 0.95)));
    json_object_set_new(object, "longest_s", report_json_real(row->longest_s));
    json_object_set_new(object, "rows", json_whole(row->rows));
    json_object_set_new(object, "bytes", json_whole(row->bytes));
    json_object_set_new(object, "connections", json_whole(row->connections));
    json_object_set_new(object, "first_s", report_json_real(row->first_s));
    json_object_set_new(object, "last_s", report_json_real(row->last_s));
    for (size_t i = 0; i < row->sender_count; i++) {
        json_t *sender = json_object();
        json_object_set_new(sender, "site", report_json_frame(row->senders[i].known ? &row->senders[i].frame : NULL));
        json_object_set_new(sender, "calls", json_whole(row->senders[i].calls));
        json_array_append_new(senders, sender);
    }
    json_object_set_new(object, "sites", senders);
    for (size_t i = 0; i < row->peer_count; i++)
        json_array_append_new(peers, json_text(row->peers[i]));
    json_object_set_new(object, "peers", peers);
    return object;
}

int queries_write_json(const struct report *report, FILE *out)
{
    json_memory_watch();
    json_t *object = json_object(), *list = json_array();
    json_object_set_new(object, "schema", json_string("stray-sql/1"));
    json_object_set_new(object, "trace", report_json_trace(report));
    for (size_t i = 0; i < report->statement_count; i++)
        json_array_append_new(list, queries_json(&report->statements[i]));
    json_object_set_new(object, "statements", list);
    return report_json_write(object, out);
}
