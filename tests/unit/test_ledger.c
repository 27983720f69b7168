/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lifetimes, places and points in time, as lists and exports want them. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "json_memory.h"
#include "views/conns.h"
#include "views/json.h"

enum { PLACE = 10, OTHER = 20, BLOCK = 30 };

static struct feed feed;

static void begin(void)
{
    feed_open(&feed);
    feed_keep_ledger(&feed);
}

static void end(void)
{
    feed_close_all(&feed);
}

TestSuite(ledger, .init = begin, .fini = end);

static void sample(uint64_t fd, unsigned state)
{
    feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, fd, (uint64_t)state << 56, 0);
}

static void expect_ends(const struct ledger *ledger, const char *const *words)
{
    for (size_t i = 0; words[i]; i++) {
        cr_assert_lt(i, ledger->life_count);
        cr_expect_str_eq(ledger_closed_word(ledger->lives[i].closed), words[i], "life %zu", i);
    }
}

Test(ledger, each_way_a_connection_ends)
{
    feed_connect(&feed, 3, 1, PLACE);
    feed_close(&feed, 3, BY_CLOSE);
    feed_connect(&feed, 3, 1, PLACE);
    feed_close(&feed, 3, BY_COLLECTOR);
    feed_connect(&feed, 3, 1, PLACE);
    feed_connect(&feed, 3, 1, PLACE); /* nobody saw the close of the one before */
    feed_event(&feed, STRAY_RECONCILED, STRAY_CONNECTION, 3, 0, 0);
    feed_connect(&feed, 4, 1, PLACE);
    feed_connect(&feed, 5, 1, PLACE);
    feed_exit(&feed);
    feed_close(&feed, 4, BY_CLOSE);
    struct ledger *ledger = feed_ledger(&feed);
    expect_ends(ledger,
                (const char *const[]){"closed", "finalizer", "implicit", "reconciled", "exit", "open", NULL});
    cr_expect_eq(ledger->life_count, 6);
    ledger_free(ledger);
}

Test(ledger, a_closing_stack_of_the_exit_is_the_exit)
{
    feed_connect(&feed, 3, 1, PLACE);
    feed_close(&feed, 3, BY_EXIT);
    feed_connect(&feed, 4, 1, PLACE);
    feed_event(&feed, STRAY_EXEC_CLOSED, STRAY_CONNECTION, 4, 0, 0);
    struct ledger *ledger = feed_ledger(&feed);
    expect_ends(ledger, (const char *const[]){"exit", "exec", NULL});
    cr_expect_str_eq(ledger_blame(ledger, ledger->lives[0].closing_stack)->function, "f9004");
    cr_expect_eq(ledger->lives[1].closing_stack, LEDGER_NONE);
    ledger_free(ledger);
}

Test(ledger, times_uses_and_statements)
{
    feed_wait(&feed, 500 * MS);
    feed_pg_connect(&feed, 0x1000, 3, PLACE);
    feed_wait(&feed, 100 * MS);
    feed_pg_use(&feed, 0x1000);
    feed_pg_use(&feed, 0x1000);
    feed_wait(&feed, 300 * MS);
    feed_pg_close(&feed, 0x1000, 3, BY_CLOSE);
    struct ledger *ledger = feed_ledger(&feed);
    cr_assert_eq(ledger->life_count, 2);
    const struct ledger_life *connection = &ledger->lives[0], *conn = &ledger->lives[1];
    cr_expect_eq(connection->resource, STRAY_CONNECTION);
    cr_expect_eq(conn->resource, STRAY_PGCONN);
    cr_expect_eq(connection->partner, 1);
    cr_expect_eq(conn->partner, 0);
    cr_expect_str_eq(conn->peer, "peer-5");
    cr_expect(connection->statements_known);
    cr_expect_eq(connection->statements, 2);
    cr_expect_float_eq(connection->opened_s, 0.500001, 1e-9);
    cr_expect_float_eq(connection->ended_s - connection->opened_s, 0.400006, 1e-5);
    cr_expect_float_eq(ledger_idle(connection), 0.3, 1e-4);
    cr_expect_float_eq(connection->busy_s, 1e-6, 1e-12);
    ledger_free(ledger);
}

Test(ledger, the_state_is_that_of_the_latest_life_of_a_number)
{
    feed_connect(&feed, 3, 1, PLACE);
    sample(3, 1);
    feed_close(&feed, 3, BY_CLOSE);
    feed_connect(&feed, 3, 1, PLACE);
    sample(3, 1);
    sample(3, 8);
    feed_connect(&feed, 4, 1, PLACE);
    struct ledger *ledger = feed_ledger(&feed);
    cr_expect_str_eq(ledger_state_word(ledger->lives[0].state), "ESTABLISHED");
    cr_expect_str_eq(ledger_state_word(ledger->lives[1].state), "CLOSE_WAIT");
    cr_expect_null(ledger_state_word(ledger->lives[2].state));
    cr_expect_null(ledger_state_word(200));
    ledger_free(ledger);
}

Test(ledger, equal_stacks_and_frames_are_kept_once)
{
    for (uint64_t i = 0; i < 10; i++)
        feed_connect(&feed, 3 + i, i, PLACE);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x5000, 100, PLACE);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x6000, 11, OTHER);
    struct ledger *ledger = feed_ledger(&feed);
    cr_expect_eq(ledger->frame_count, 2);
    cr_expect_eq(ledger->stack_count, 2);
    size_t opened = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < ledger->place_count; i++) {
        opened += ledger->places[i].opened;
        bytes += ledger->places[i].bytes_open;
    }
    cr_expect_eq(opened, 12);
    cr_expect_eq(bytes, 111);
    ledger_free(ledger);
}

Test(ledger, points_are_bounded_and_end_with_the_last_event)
{
    for (uint64_t i = 0; i < 20000; i++) {
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000 + 16 * i, 10, BLOCK);
        feed_wait(&feed, 2 * MS);
    }
    struct ledger *ledger = feed_ledger(&feed);
    cr_assert_leq(ledger->point_count, LEDGER_POINTS);
    cr_assert_geq(ledger->point_count, LEDGER_POINTS / 4);
    for (size_t i = 1; i < ledger->point_count; i++) {
        cr_assert_gt(ledger->points[i].time_s, ledger->points[i - 1].time_s);
        cr_assert_gt(ledger->points[i].heap_bytes, ledger->points[i - 1].heap_bytes);
    }
    cr_expect_eq(ledger->points[ledger->point_count - 1].heap_bytes, 200000);
    cr_expect_eq(ledger->points[ledger->point_count - 1].open[STRAY_HEAP], 20000);
    ledger_free(ledger);
}

static size_t select_rows(const struct ledger *ledger, struct listing_filter filter)
{
    size_t *rows, count;
    cr_assert_eq(conns_select(ledger, &filter, &rows, &count), 0);
    free(rows);
    return count;
}

Test(ledger, connections_are_selected)
{
    feed_pg_connect(&feed, 0x1000, 3, PLACE);
    feed_pg_use(&feed, 0x1000);
    feed_wait(&feed, 10000 * MS);
    feed_connect(&feed, 4, 7, OTHER);
    feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 9, 8, OTHER);
    struct ledger *ledger = feed_ledger(&feed);
    cr_expect_eq(select_rows(ledger, (struct listing_filter){0}), 3);
    cr_expect_eq(select_rows(ledger, (struct listing_filter){.resources = 1u << STRAY_PGCONN}), 1);
    cr_expect_eq(select_rows(ledger, (struct listing_filter){.peer = "peer-7"}), 1);
    cr_expect_eq(select_rows(ledger, (struct listing_filter){.site = "app.py:20"}), 2);
    cr_expect_eq(select_rows(ledger, (struct listing_filter){.min_given = true, .min = 1}), 1);
    cr_expect_eq(select_rows(ledger, (struct listing_filter){.since = {.given = true, .seconds = 5}}), 2);
    struct listing_time late = {
        .given = true, .calendar = true, .realtime_ns = 1700000000123456789 + 5000 * MS};
    cr_expect_eq(select_rows(ledger, (struct listing_filter){.until = late}), 1);
    ledger_free(ledger);
}

static const char *hostile_endpoint(void *data, uint64_t id)
{
    return "a\x80\033\\\x81/\\x82";
}

static json_t *peer_of(int (*write)(const struct ledger *ledger, FILE *out), const struct ledger *ledger, const char *list)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(write(ledger, out), 0);
    fclose(out);
    json_t *object = json_loads(text, 0, NULL);
    json_t *peer = json_incref(json_object_get(json_array_get(json_object_get(object, list), 0), "peer"));
    json_decref(object);
    free(text);
    return peer;
}

static int write_conns(const struct ledger *ledger, FILE *out)
{
    size_t row = 0;
    return conns_write_json(ledger, &row, 1, out);
}

static int write_report(const struct ledger *ledger, FILE *out)
{
    return report_write_json(ledger->report, false, out);
}

Test(ledger, hostile_names_are_the_same_in_all_json)
{
    feed.lives->source.endpoint = hostile_endpoint;
    feed_connect(&feed, 3, 1, PLACE);
    struct ledger *ledger = feed_ledger(&feed);
    json_t *of_conns = peer_of(write_conns, ledger, "conns"), *of_report = peer_of(write_report, ledger, "connections");
    cr_expect_str_eq(json_string_value(of_report), "a\\x80\033\\\\\\x81/\\\\x82");
    cr_expect_str_eq(json_string_value(of_conns), json_string_value(of_report));
    json_decref(of_conns);
    json_decref(of_report);
    ledger_free(ledger);
}

Test(ledger, numbers_in_json_are_never_below_zero)
{
    json_t *most = json_whole(UINT64_MAX);
    cr_expect_eq(json_integer_value(most), INT64_MAX);
    json_decref(most);
}

Test(ledger, connections_as_json)
{
    feed_pg_connect(&feed, 0x1000, 3, PLACE);
    feed_pg_close(&feed, 0x1000, 3, BY_DESTRUCTOR);
    struct ledger *ledger = feed_ledger(&feed);
    char *text;
    size_t size, row = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(conns_write_json(ledger, &row, 1, out), 0);
    fclose(out);
    json_t *object = json_loads(text, 0, NULL);
    json_t *conn = json_array_get(json_object_get(object, "conns"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(conn, "closed")), "finalizer");
    cr_expect_str_eq(json_string_value(json_object_get(conn, "peer")), "peer-5");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(conn, "site"), "function")), "f10");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(conn, "closed_at"), "function")),
                     "f9002");
    cr_expect(json_is_null(json_object_get(conn, "tcp_state")));
    json_decref(object);
    free(text);
    ledger_free(ledger);
}
