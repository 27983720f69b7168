/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report as text and as JSON. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "service.h"
#include "views/text.h"

static struct feed feed;

static void begin(void)
{
    feed_open(&feed);
}

static void end(void)
{
    feed_close_all(&feed);
}

TestSuite(report_written, .init = begin, .fini = end);

static void everything(void)
{
    service_run(&feed, 60);
    feed_event(&feed, STRAY_MEMORY, 0, 100 << 20, 1 << 20, 0);
    service_hoard(&feed, 200, 100000);
    feed_event(&feed, STRAY_MEMORY, 0, 150 << 20, 2 << 20, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x77, 1, 0);
    feed_exit(&feed);
}

/* Where the number of open connections ends in the line of the peer that begins so. */
static size_t column_of_open(const char *text, const char *peer)
{
    const char *at = strstr(text, peer), *begin = at, *open;
    cr_assert_not_null(at);
    while (begin[-1] != '\n')
        begin--;
    open = at + strcspn(at, " ");
    open += strspn(open, " ");
    size_t column = 0;
    for (const char *p = begin; p < open + strcspn(open, " "); p++)
        column += ((unsigned char)*p & 0xc0) != 0x80;
    return column;
}

Test(report_written, columns_stand_below_each_other)
{
    const struct text_options options = {0};
    static struct report_peer peers[] = {{.text = "plain:5432", .open = 3}, {.text = "d\033b:5432", .open = 2}, {.text = "m\xc3\xbcnchen:5432", .open = 1}};
    everything();
    struct report *report = feed_report(&feed, true);
    struct report_peer *own = report->peers;
    size_t count = report->peer_count;
    report->peers = peers;
    report->peer_count = 3;
    char *text = feed_rendered(report, false, &options);
    size_t column = column_of_open(text, "plain:5432");
    cr_expect_eq(column_of_open(text, "d\\x1bb:5432"), column);
    cr_expect_eq(column_of_open(text, "m\xc3\xbcnchen:5432"), column);
    free(text);
    report->peers = own;
    report->peer_count = count;
    report_free(report);
}

/* The schema is checked by the library whose business it is. */
Test(report_written, json_is_what_the_schema_says)
{
    everything();
    struct report *report = feed_report(&feed, true);
    char *json = feed_rendered(report, true, NULL);
    FILE *checker = popen("/usr/bin/python3 -c \"\n"
                          "import json, sys, jsonschema\n"
                          "schema = json.load(open('" SOURCE_ROOT "/docs/report.schema.json'))\n"
                          "jsonschema.Draft202012Validator.check_schema(schema)\n"
                          "jsonschema.Draft202012Validator(schema).validate(json.load(sys.stdin))\n"
                          "\"",
                          "w");
    cr_assert_not_null(checker);
    fputs(json, checker);
    cr_expect_eq(pclose(checker), 0);
    free(json);
    report_free(report);
}

Test(report_written, json_holds_the_figures)
{
    everything();
    struct report *report = feed_report(&feed, true);
    char *text = feed_rendered(report, true, NULL);
    json_t *json = json_loads(text, 0, NULL);
    json_int_t pid, opened, closed, count, live;
    const char *verdict, *function, *start, *axis;
    cr_assert_eq(json_unpack(json, "{s:[{s:I, s:s, s:{s:{s:I, s:I}}}], s:{s:s}}", "processes", "pid", &pid,
                             "start", &start, "resources", "pgconn", "opened", &opened, "closed", &closed,
                             "trace", "work_axis", &axis),
                 0);
    cr_expect_eq(pid, 100);
    cr_expect_str_eq(start, "2023-11-14T22:13:20.123456Z");
    cr_expect_str_eq(axis, "requests");
    cr_expect_eq(opened, 125);
    cr_expect_eq(closed, 60);
    cr_assert_eq(json_unpack(json, "{s:[{s:s, s:I, s:{s:s}}], s:{s:{s:I}}}", "findings", "verdict", &verdict,
                             "count", &count, "site", "function", &function, "memory", "parts", "live_heap",
                             &live),
                 0);
    cr_expect_str_eq(verdict, "leaked");
    cr_expect_str_eq(function, "f10");
    cr_expect_eq(count, 60);
    cr_expect_eq(live, 20000000);
    json_decref(json);
    free(text);
    report_free(report);
}

/* Two blocks of a sampled heap that come and go: others like them may have been missed. */
Test(report_written, intervals_of_samples)
{
    feed_close_all(&feed);
    feed_open_sampled(&feed, 65536);
    for (int i = 0; i < 2; i++) {
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 16, 7);
        feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x1000, 0, 0);
    }
    feed_exit(&feed);
    feed_finish(&feed);
    struct report *report = feed_report(&feed, true);
    char *text = feed_rendered(report, true, NULL);
    json_t *root = json_loads(text, 0, NULL), *site = json_array_get(json_object_get(root, "sites"), 0);
    json_t *intervals = json_object_get(site, "intervals"), *open = json_object_get(intervals, "open");
    double weight = 1 / (1 - exp(-16 / 65536.0));
    cr_expect(json_is_true(json_object_get(site, "estimated")));
    cr_expect_float_eq(json_number_value(json_object_get(json_object_get(intervals, "opened"), "estimate")), 2 * weight, 0.01);
    cr_expect_float_eq(json_number_value(json_object_get(open, "estimate")), 0, 1e-9);
    cr_expect_float_eq(json_number_value(json_object_get(open, "high")), 3.688879 * weight, 5);
    cr_expect_float_eq(json_number_value(json_object_get(json_object_get(intervals, "bytes_open"), "high")), 3.688879 * 65536, 50);
    json_decref(root);
    free(text);
    report_free(report);
}

static size_t columns(const char *line, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++)
        count += ((unsigned char)line[i] & 0xc0) != 0x80;
    return count;
}

Test(report_written, text_fits_the_page)
{
    static const struct text_options all = {.verbose = true, .sites = true};
    everything();
    struct report *report = feed_report(&feed, true);
    char *text = feed_rendered(report, false, &all);
    for (const char *line = text; *line;) {
        size_t bytes = strcspn(line, "\n");
        cr_expect_leq(columns(line, bytes), TEXT_WIDTH);
        line += bytes + (line[bytes] == '\n');
    }
    free(text);
    report_free(report);
}

Test(report_written, text_has_the_answer_first)
{
    static const struct text_options plain = {0};
    everything();
    struct report *report = feed_report(&feed, false);
    char *text = feed_rendered(report, false, &plain);
    const char *answer = strchr(text, '\n') + 1;
    cr_expect_eq(strncmp(answer, "1 leak (1 symptom), 1 note", 26), 0, "%s", text);
    const char *first = strstr(text, "[1] LEAKED  connection  60  ->  peer-5");
    cr_expect_not_null(first, "%s", text);
    cr_expect_not_null(strstr(text, "f10()  app.py:10"));
    cr_expect_not_null(strstr(text, "also holds 60 pgconn ["));
    cr_expect_not_null(strstr(text, "caused by [1]: fix that first"));
    cr_expect_null(strstr(text, "f20"), "the twin is not named");
    cr_expect_not_null(strstr(text, "NOT LEAKS"));
    cr_expect_null(strstr(text, "\033"));
    free(text);
    report_free(report);
}

/* The loop's line runs whatever a task does that was made elsewhere. */
Test(report_written, what_an_event_loop_ran_is_told)
{
    static const struct text_options plain = {0};
    struct report_frame frames[] = {
        {.function = "create_connection", .file = "/usr/lib/python3.11/asyncio/base_events.py", .line = 1069, .python = true},
        {.function = "_create_ssl_connection", .file = "/v/site-packages/asyncpg/connect_utils.py", .line = 684, .python = true},
        {.module = "_asyncio.so", .offset = 0x7df1},
        {.function = "Handle._run", .file = "/usr/lib/python3.11/asyncio/events.py", .line = 80, .python = true},
        {.function = "BaseEventLoop._run_once", .file = "/usr/lib/python3.11/asyncio/base_events.py", .line = 1922, .python = true},
        {.function = "<module>", .file = "/srv/app/main.py", .line = 30, .python = true, .user = true},
    };
    struct report_finding finding = {.verdict = VERDICT_LEAKED, .resource = STRAY_CONNECTION, .count = 12, .cause = REPORT_NONE};
    struct report_process process = {.pid = 100, .exe = "/usr/bin/python3.11", .end = "exit"};
    struct report report = {.processes = &process, .process_count = 1, .findings = &finding, .finding_count = 1, .complete = true};
    for (size_t blame = 1; blame <= 5; blame += 4) {
        finding.stack = (struct report_stack){.frames = frames, .count = 6, .blame = blame};
        finding.site = &frames[blame];
        char *text = feed_rendered(&report, false, &plain);
        bool told = strstr(text, "    by a task or a callback of the event loop: connect_utils.py:684 _create_ssl_connection()\n") != NULL;
        cr_expect_eq(told, blame == 5, "%s", text);
        free(text);
    }
}

Test(report_written, the_same_events_give_the_same_bytes)
{
    static const struct text_options options = {.verbose = true, .sites = true};
    char *texts[2][2];
    for (int i = 0; i < 2; i++) {
        if (i > 0) {
            feed_close_all(&feed);
            feed_open(&feed);
        }
        everything();
        struct report *report = feed_report(&feed, true);
        texts[i][0] = feed_rendered(report, true, NULL);
        texts[i][1] = feed_rendered(report, false, &options);
        report_free(report);
    }
    cr_expect_str_eq(texts[0][0], texts[1][0]);
    cr_expect_str_eq(texts[0][1], texts[1][1]);
    for (int i = 0; i < 4; i++)
        free(texts[i / 2][i % 2]);
}

Test(report_written, nothing_to_say_is_said)
{
    static const struct text_options plain = {0};
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    char *text = feed_rendered(report, false, &plain);
    cr_expect_not_null(strstr(text, "Too short to tell"));
    free(text);
    report_free(report);
}
