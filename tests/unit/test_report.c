/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From events to what people and programs read. */
#include <criterion/criterion.h>

#include "service.h"

static struct feed feed;

static void begin(void)
{
    feed_open(&feed);
}

static void end(void)
{
    feed_close_all(&feed);
}

TestSuite(report, .init = begin, .fini = end);

Test(report, a_leak_is_told_once_with_its_consequence)
{
    service_run(&feed, 60);
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *connection = feed_finding(report, VERDICT_LEAKED, STRAY_CONNECTION, LEAKY);
    const struct report_finding *conn = feed_finding(report, VERDICT_LEAKED, STRAY_PGCONN, LEAKY);
    cr_assert(connection && conn);
    cr_expect_eq(connection, &report->findings[0]);
    cr_expect_eq(connection->count, 60);
    cr_expect_str_eq(connection->peer, "peer-5");
    cr_expect_eq(connection->cause, REPORT_NONE);
    cr_expect_eq(conn->count, 60);
    cr_expect_eq(conn->cause, 0);
    cr_expect_str_eq(conn->peer, "peer-5");
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct report_finding *finding = &report->findings[i];
        cr_expect(finding->site->line == LEAKY ||
                      (finding->site->line == POOL && finding->severity == SEVERITY_NOTE),
                  "%s", finding->message);
    }
    report_free(report);
}

/* A driver keeps the last result of each connection: which of two that leak it is, the function tells. */
Test(report, results_go_with_the_connection_of_their_function)
{
    for (uint64_t i = 0; i < 120; i++) {
        feed_wait(&feed, 20 * MS);
        feed_pg_connect(&feed, 0x10000 + 16 * i, 100 + i, LEAKY);
        feed_pg_use(&feed, 0x10000 + 16 * i);
        if (i % 2 == 0)
            continue;
        feed_pg_connect(&feed, 0x20000 + 16 * i, 500 + i, TWIN);
        feed_event(&feed, STRAY_OPEN, STRAY_PGRESULT, 0x30000 + 16 * i, 0, FEED_ELSEWHERE + TWIN);
        feed_pg_use(&feed, 0x20000 + 16 * i);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *result = feed_finding(report, VERDICT_LEAKED, STRAY_PGRESULT, FEED_ELSEWHERE + TWIN);
    const struct report_finding *connection = feed_finding(report, VERDICT_LEAKED, STRAY_CONNECTION, TWIN);
    cr_assert(result && connection);
    cr_expect_eq(result->cause, (size_t)(connection - report->findings));
    report_free(report);
}

Test(report, dropped_connections_are_left_to_finalizers)
{
    for (uint64_t i = 0; i < 30; i++) {
        feed_wait(&feed, 20 * MS);
        feed_pg_connect(&feed, 0x1000, 5, DROPPED);
        feed_pg_use(&feed, 0x1000);
        feed_pg_close(&feed, 0x1000, 5, BY_DESTRUCTOR);
    }
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding =
        feed_finding(report, VERDICT_FINALIZER_CLOSED, STRAY_CONNECTION, DROPPED);
    cr_assert_not_null(finding);
    cr_expect_eq(finding->count, 30);
    const struct report_finding *conn = feed_finding(report, VERDICT_FINALIZER_CLOSED, STRAY_PGCONN, DROPPED);
    cr_assert_not_null(conn);
    cr_expect_eq(conn->cause, (size_t)(finding - report->findings));
    cr_expect_eq(report->finding_count, 2);
    report_free(report);
}

/* Clients of the same process hang up, at once or when it is about to end; what accepted them closes nothing. */
static const struct report_finding *left_by_clients(struct report **report, bool at_once)
{
    enum { CLIENT = 300, ACCEPTED = 500, COUNT = 30 };
    for (uint64_t i = 0; i < COUNT; i++) {
        feed_wait(&feed, 50 * MS);
        feed_connect(&feed, CLIENT + i, 7, LEAKY);
        feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, ACCEPTED + i, 7, SERVER);
        if (at_once)
            feed_close(&feed, CLIENT + i, BY_CLOSE);
    }
    for (uint64_t i = 0; !at_once && i < COUNT; i++)
        feed_close(&feed, CLIENT + i, BY_CLOSE);
    feed_wait(&feed, MS);
    for (uint64_t i = 0; i < COUNT; i++)
        feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, ACCEPTED + i, UINT64_C(8) << 56 | UINT64_C(2) << 32 | 1000, 0);
    feed_exit(&feed);
    *report = feed_report(&feed, false);
    return feed_finding(*report, VERDICT_LEAKED, STRAY_CONNECTION, SERVER);
}

Test(report, what_clients_leave_at_the_end_is_no_leak)
{
    struct report *report;
    cr_expect_null(left_by_clients(&report, false));
    cr_expect_eq(report->finding_count, 1, "%s", report->findings[0].message);
    report_free(report);
}

Test(report, what_clients_leave_is_a_leak)
{
    struct report *report;
    cr_expect_not_null(left_by_clients(&report, true));
    report_free(report);
}

/* A worker that serves for two seconds and leaves so many connections, each at one request of its own. */
static void worker(struct report *report, uint32_t pid, unsigned leaks)
{
    end();
    begin();
    for (uint64_t i = 0; i < 20; i++) {
        feed_wait(&feed, 100 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 10, 7, SERVER);
        if (i % 5 == 2 && leaks > i / 5) {
            feed_pg_connect(&feed, 0x1000 + 16 * i, 100 + i, LEAKY);
            feed_pg_use(&feed, 0x1000 + 16 * i);
        }
        feed_event(&feed, STRAY_CLOSE, STRAY_CONNECTION, 10, 0, BY_CLOSE);
    }
    feed_exit(&feed);
    feed_add_worker(&feed, report, pid);
    begin();
}

/* What was said of one worker's connections before it was known that all leak them. */
static void expect_nothing_said_twice(const struct report *report)
{
    for (size_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].verdict == VERDICT_OPEN_AT_EXIT)
            cr_expect_neq(report->findings[i].cause, REPORT_NONE);
}

/* How many leaked connections a report tells of workers that have so many each. */
static uint64_t leaked_by_workers(const unsigned *leaks, size_t workers)
{
    struct report *report;
    cr_assert_eq(report_begin("trace", &report), 0);
    for (uint32_t i = 0; i < workers; i++)
        worker(report, 200 + i, leaks[i]);
    cr_assert_eq(report_end(report), 0);
    const struct report_finding *connection = feed_finding(report, VERDICT_LEAKED, STRAY_CONNECTION, LEAKY);
    const struct report_finding *conn = feed_finding(report, VERDICT_LEAKED, STRAY_PGCONN, LEAKY);
    uint64_t count = connection ? connection->count : 0;
    cr_expect_eq(conn ? conn->count : 0, count);
    if (conn)
        cr_expect_eq(conn->cause, (size_t)(connection - report->findings));
    if (connection)
        expect_nothing_said_twice(report);
    report_free(report);
    return count;
}

Test(report, workers_leak_together)
{
    cr_expect_eq(leaked_by_workers((const unsigned[]){3, 2, 1, 1}, 4), 7);
    cr_expect_eq(leaked_by_workers((const unsigned[]){1, 2, 4, 3}, 4), 10);
    cr_expect_eq(leaked_by_workers((const unsigned[]){1, 1, 1, 1, 1, 1, 1, 1}, 8), 0, "each has its own");
    cr_expect_eq(leaked_by_workers((const unsigned[]){2, 2, 2, 2, 2, 2}, 6), 0, "each has a pair");
    cr_expect_eq(leaked_by_workers((const unsigned[]){3, 3, 3}, 3), 0, "each has its set");
    cr_expect_eq(leaked_by_workers((const unsigned[]){3, 0, 0}, 3), 0, "too few");
}

/* The ends of a pipe go when the process at the other end does; of what makes one, a pool of workers, nobody can close it. */
Test(report, pipes_are_not_left_to_finalizers)
{
    for (uint64_t i = 0; i < 60; i++) {
        feed_wait(&feed, 20 * MS);
        feed_hook(&feed, STRAY_HOOK_pipe2, STRAY_OPEN, STRAY_FILE, 5, 0, DROPPED);
        feed_event(&feed, STRAY_CLOSE, STRAY_FILE, 5, 0, BY_DESTRUCTOR);
        feed_event(&feed, STRAY_OPEN, STRAY_FILE, 6, 0, LEAKY);
        feed_event(&feed, STRAY_CLOSE, STRAY_FILE, 6, 0, BY_DESTRUCTOR);
    }
    struct report *report = feed_report(&feed, false);
    cr_expect_eq(report->finding_count, 1);
    cr_expect_not_null(feed_finding(report, VERDICT_FINALIZER_CLOSED, STRAY_FILE, LEAKY));
    report_free(report);
}

/* Of those that stay open no connection was seen; of one that was closed it was. */
Test(report, a_known_peer_is_not_forgotten)
{
    for (uint64_t i = 0; i < 60; i++) {
        feed_wait(&feed, 20 * MS);
        if (i % 20 == 0) {
            feed_pg_connect(&feed, 0x900000, 11, LEAKY);
            feed_pg_use(&feed, 0x900000);
            feed_pg_close(&feed, 0x900000, 11, BY_CLOSE);
        }
        feed_event(&feed, STRAY_OPEN, STRAY_PGCONN, 0x1000 + 16 * i, 0, LEAKY);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *conn = feed_finding(report, VERDICT_LEAKED, STRAY_PGCONN, LEAKY);
    cr_assert_not_null(conn);
    cr_expect_str_eq(conn->peer, "peer-5");
    report_free(report);
}

Test(report, two_hundred_large_blocks)
{
    service_hoard(&feed, 200, 100000);
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding = feed_finding(report, VERDICT_LEAKED, STRAY_HEAP, HOARD);
    cr_assert_not_null(finding);
    cr_expect_eq(finding->count, 200);
    cr_expect_eq(finding->bytes, 20000000);
    cr_expect_eq(report->finding_count, 1);
    report_free(report);
}

Test(report, ten_thousand_small_ones)
{
    service_hoard(&feed, 10000, 64);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding = feed_finding(report, VERDICT_LEAKED, STRAY_HEAP, HOARD);
    cr_assert_not_null(finding);
    cr_expect_eq(finding->count, 10000);
    report_free(report);
}

Test(report, memory_of_a_leaked_connection_is_its_consequence)
{
    for (uint64_t i = 0; i < 60; i++) {
        feed_wait(&feed, 20 * MS);
        feed_pg_connect(&feed, 0x1000 + 16 * i, 100 + i, LEAKY);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x100000 + 65536 * i, 40000, LEAKY);
        feed_pg_use(&feed, 0x1000 + 16 * i);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *heap = feed_finding(report, VERDICT_LEAKED, STRAY_HEAP, LEAKY);
    cr_assert_not_null(heap);
    cr_expect_eq(report->findings[heap->cause].resource, STRAY_CONNECTION);
    report_free(report);
}

Test(report, memory_of_a_leaked_file_is_its_consequence)
{
    for (uint64_t i = 0; i < 60; i++) {
        feed_wait(&feed, 20 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_FILE, 100 + i, 0, LEAKY);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x100000 + 65536 * i, 40000, LEAKY);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *heap = feed_finding(report, VERDICT_LEAKED, STRAY_HEAP, LEAKY);
    cr_assert_not_null(heap);
    cr_assert_lt(heap->cause, report->finding_count);
    cr_expect_eq(report->findings[heap->cause].resource, STRAY_FILE);
    report_free(report);
}

Test(report, processes_are_merged_by_place)
{
    service_run(&feed, 60);
    feed_exit(&feed);
    struct report *report = feed_report(&feed, true);
    size_t findings = report->finding_count, sites = report->site_count;
    struct report_process other = {
        .pid = 101, .exe = "x", .end = "killed", .complete = true, .start_realtime_ns = 1};
    report->path = NULL;
    cr_assert_eq(report_add(report, &other, feed.lives, &feed_stacks, true), 0);
    cr_assert_eq(report_end(report), 0);
    cr_expect_eq(report->finding_count, findings);
    cr_expect_eq(report->site_count, sites);
    cr_expect_eq(report->findings[0].count, 120);
    cr_expect_eq(report->findings[0].pid_count, 2);
    cr_expect_eq(report->findings[0].pids[0], 100);
    cr_expect_eq(report->process_count, 2);
    cr_expect_eq(report->processes[0].pid, 101, "in the order of their start");
    report_free(report);
}

/* Each request keeps one small object of each of two functions: of 397 and 290 bytes, which are never reused, or of 32. */
static void keep_two(uint64_t audit, uint64_t session)
{
    for (uint64_t i = 0; i < 4000; i++) {
        feed_wait(&feed, MS);
        feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x10000000 + 1024 * i, audit, LEAKY);
        feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x20000000 + 1024 * i, session, TWIN);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x80, 100, WORK);
        feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x80, 0, 0);
    }
    feed_exit(&feed);
}

/* Adds a process that does so. */
static void add_worker(struct report *report, uint32_t pid, uint64_t audit, uint64_t session, const struct report_stacks *stacks)
{
    struct report_process worker = {.pid = pid, .exe = "x", .end = "exit", .complete = true, .start_realtime_ns = pid};
    feed_close_all(&feed);
    feed_open(&feed);
    keep_two(audit, session);
    feed_finish(&feed);
    cr_assert_eq(report_add(report, &worker, feed.lives, stacks, false), 0);
}

static struct report *two_workers(uint64_t audit, uint64_t session, const struct report_stacks *stacks)
{
    struct report *report;
    cr_assert_eq(report_begin("trace", &report), 0);
    add_worker(report, 100, audit, session, stacks);
    add_worker(report, 101, session, audit, stacks);
    cr_assert_eq(report_end(report), 0);
    return report;
}

static const struct report_finding *kept(const struct report *report, uint32_t stack)
{
    const struct report_finding *finding = feed_finding(report, VERDICT_LEAKED, STRAY_PYOBJECT, stack);
    cr_assert_not_null(finding);
    return finding;
}

Test(report, equal_numbers_are_no_cause)
{
    keep_two(397, 290);
    struct report *report = feed_report(&feed, false);
    cr_expect_eq(kept(report, LEAKY)->cause, REPORT_NONE);
    cr_expect_eq(kept(report, TWIN)->cause, REPORT_NONE);
    report_free(report);
}

Test(report, keys_of_the_same_function_follow)
{
    for (uint64_t i = 0; i < 4000; i++) {
        feed_wait(&feed, MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x10000000 + 1024 * i, 900, LEAKY);
        feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x20000000 + 1024 * i, 57, LEAKY);
        feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x30000000 + 1024 * i, 57, TWIN);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *heap = feed_finding(report, VERDICT_LEAKED, STRAY_HEAP, LEAKY);
    cr_assert_not_null(heap);
    cr_expect_eq(kept(report, LEAKY)->cause, (size_t)(heap - report->findings));
    cr_expect_eq(kept(report, TWIN)->cause, REPORT_NONE);
    report_free(report);
}

Test(report, workers_in_which_either_is_larger)
{
    struct report *report = two_workers(397, 290, &feed_stacks);
    cr_expect_eq(kept(report, LEAKY)->cause, REPORT_NONE);
    cr_expect_eq(kept(report, TWIN)->cause, REPORT_NONE);
    cr_expect_eq(kept(report, TWIN)->pid_count, 2);
    report_free(report);
}

/* What goes with the other in the one process is certain in the next. */
Test(report, workers_that_disagree_on_what_is_certain)
{
    struct report *report = two_workers(32, 397, &feed_stacks);
    cr_expect_eq(kept(report, LEAKY)->severity, SEVERITY_ERROR);
    cr_expect_eq(kept(report, LEAKY)->cause, REPORT_NONE);
    cr_expect_eq(kept(report, TWIN)->cause, REPORT_NONE);
    report_free(report);
}

/* Each node is a line of the same function. */
static const struct stack *line_of_one(void *data, uint32_t node)
{
    static struct frame frames[WORK + 1];
    static struct stack stacks[WORK + 1];
    cr_assert(node <= WORK);
    frames[node] = (struct frame){.function = "request", .file = "app.py", .line = node, .language = LANGUAGE_PYTHON, .user = true};
    stacks[node] = (struct stack){.frames = &frames[node], .count = node != 0};
    return &stacks[node];
}

Test(report, two_lines_of_one_function_leak_each)
{
    static const struct report_stacks lines = {NULL, line_of_one};
    struct report *report = two_workers(397, 290, &lines);
    cr_expect_eq(kept(report, LEAKY)->cause, REPORT_NONE);
    cr_expect_eq(kept(report, TWIN)->cause, REPORT_NONE);
    report_free(report);
}

/* The texts that LEAKY makes are names by which C code looks attributes up; those of TWIN are what it gets. */
static const struct stack *by_name(void *data, uint32_t node)
{
    static struct frame frames[WORK + 1][3];
    static struct stack stacks[WORK + 1];
    cr_assert(node <= WORK);
    frames[node][0] = (struct frame){.language = LANGUAGE_NATIVE};
    frames[node][1] = (struct frame){.function = node == LEAKY ? "PyObject_GetAttrString" : "PyObject_Str", .language = LANGUAGE_NATIVE};
    frames[node][2] = (struct frame){.function = "request", .file = "app.py", .line = node, .language = LANGUAGE_PYTHON, .user = true};
    stacks[node] = (struct stack){.frames = frames[node], .count = node ? 3 : 0, .blame = node ? 2 : 0};
    return &stacks[node];
}

/* The same where the interpreter's debug information is installed: each function on the way has its name. */
static const struct stack *by_name_in_full(void *data, uint32_t node)
{
    static const char *const making[] = {"PyObject_Malloc", "PyUnicode_New", "unicode_decode_utf8", "PyUnicode_DecodeUTF8Stateful", "PyUnicode_FromString"};
    enum { MAKING = sizeof(making) / sizeof(*making) };
    static struct frame frames[WORK + 1][MAKING + 2];
    static struct stack stacks[WORK + 1];
    const struct stack *plain = by_name(data, node);
    for (size_t i = 0; i < MAKING; i++)
        frames[node][i] = (struct frame){.function = making[i], .language = LANGUAGE_NATIVE};
    frames[node][MAKING] = plain->frames[1];
    frames[node][MAKING + 1] = plain->frames[2];
    stacks[node] = (struct stack){.frames = frames[node], .count = node ? MAKING + 2 : 0, .blame = node ? MAKING + 1 : 0};
    return &stacks[node];
}

static void expect_names_are_no_leak(const struct report_stacks *lines)
{
    struct report *report = two_workers(397, 290, lines);
    cr_expect_null(feed_finding(report, VERDICT_LEAKED, STRAY_PYOBJECT, LEAKY));
    cr_expect_eq(kept(report, TWIN)->count, 8000);
    report_free(report);
}

Test(report, a_name_that_is_looked_up_is_no_leak)
{
    static const struct report_stacks lines = {NULL, by_name}, in_full = {NULL, by_name_in_full};
    expect_names_are_no_leak(&lines);
    expect_names_are_no_leak(&in_full);
}

/* ---- what comes with a handle ---- */

enum { OPENS = 1, ALLOCATES, BY_DRIVER, BY_LIBC, MADE, CONSTRUCTS, CONSTRUCTS_ELSEWHERE, HELD_STACKS };

/* Stacks of one function, "request": what it calls comes first. */
static const struct stack *inside(void *data, uint32_t node)
{
    static struct frame driver = {.function = "PQconnectPoll", .module = "/usr/lib/libpq.so.5"}, libc = {.function = "strdup", .module = "/usr/lib/libc.so.6"};
    static struct frame constructor = {.function = "app::Session<int>::Session", .file = "app.cc", .line = 7, .user = true};
    static const struct frame *const inner[HELD_STACKS] = {
        [OPENS] = &driver, [BY_DRIVER] = &driver, [BY_LIBC] = &libc, [CONSTRUCTS] = &constructor, [CONSTRUCTS_ELSEWHERE] = &constructor};
    static struct frame frames[HELD_STACKS][2];
    static struct stack stacks[HELD_STACKS];
    cr_assert_lt(node, HELD_STACKS);
    size_t below = inner[node] ? 1 : 0, count = node ? below + 1 : 0;
    unsigned line = node == CONSTRUCTS ? MADE : node;
    if (below)
        frames[node][0] = *inner[node];
    frames[node][below] = (struct frame){.function = "request", .file = "app.cc", .line = line, .module = "/srv/app", .user = true};
    stacks[node] = (struct stack){.frames = frames[node], .count = count, .blame = below && inner[node]->user ? 0 : below};
    return &stacks[node];
}

static const struct report_stacks inside_stacks = {NULL, inside};

static void add_process(struct report *report, uint32_t pid)
{
    struct report_process process = {.pid = pid, .exe = "x", .end = "exit", .complete = true, .start_realtime_ns = pid};
    feed_exit(&feed);
    feed_finish(&feed);
    cr_assert_eq(report_add(report, &process, feed.lives, &inside_stacks, false), 0);
    feed_close_all(&feed);
    feed_open(&feed);
}

/* A request leaks a connection to `peer`, and memory at other lines. */
static void leak_both(uint64_t peer, uint32_t memory)
{
    for (uint64_t i = 0; i < 60; i++) {
        feed_wait(&feed, 20 * MS);
        feed_connect(&feed, 100 + i, peer, OPENS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x100000 + 65536 * i, 40000, memory);
    }
}

static const struct report_finding *heap_at(const struct report *report, uint32_t line)
{
    const struct report_finding *finding = feed_finding(report, VERDICT_LEAKED, STRAY_HEAP, line);
    cr_assert_not_null(finding, "line %u", line);
    return finding;
}

static bool goes_with_connection(uint32_t memory)
{
    struct report *report;
    cr_assert_eq(report_begin("trace", &report), 0);
    leak_both(5, memory);
    add_process(report, 100);
    cr_assert_eq(report_end(report), 0);
    bool goes = heap_at(report, memory)->cause != REPORT_NONE;
    report_free(report);
    return goes;
}

Test(report, what_the_driver_takes_goes_with_its_connection)
{
    cr_expect(goes_with_connection(OPENS));
    cr_expect(goes_with_connection(BY_DRIVER), "another line, by way of the same library");
    cr_expect_not(goes_with_connection(ALLOCATES), "a leak of its own");
    cr_expect_not(goes_with_connection(BY_LIBC), "a copy that libc makes for everybody");
}

/* A pool of files that grows to the end, all of which are read time and again. With each comes a block; or one with each use. */
static struct report *pool_of_files(bool with_each_use)
{
    struct report *report;
    cr_assert_eq(report_begin("trace", &report), 0);
    for (uint64_t i = 0; i < 600; i++) {
        feed_wait(&feed, 20 * MS);
        if (i % 15 == 0)
            feed_event(&feed, STRAY_OPEN, STRAY_FILE, 100 + i / 15, 0, OPENS);
        if (i % 15 == 0 || with_each_use)
            feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x100000 + 65536 * i, 40000, BY_DRIVER);
        for (uint64_t file = 0; file <= i / 15; file++)
            feed_event(&feed, STRAY_USED, STRAY_FILE, 100 + file, (i + 1) << 40, 0);
    }
    add_process(report, 100);
    cr_assert_eq(report_end(report), 0);
    return report;
}

Test(report, what_a_pool_in_use_holds_is_no_leak)
{
    struct report *report = pool_of_files(false);
    for (size_t i = 0; i < report->finding_count; i++)
        cr_expect_gt(report->findings[i].verdict, VERDICT_CREEP, "%s", report->findings[i].message);
    report_free(report);
    report = pool_of_files(true);
    cr_expect_eq(heap_at(report, BY_DRIVER)->count, 600, "more than come with the files");
    report_free(report);
}

static const char *peer_behind(uint64_t first, uint64_t second)
{
    struct report *report;
    cr_assert_eq(report_begin("trace", &report), 0);
    leak_both(first, OPENS);
    add_process(report, 100);
    leak_both(second, OPENS);
    add_process(report, 101);
    cr_assert_eq(report_end(report), 0);
    const struct report_finding *heap = heap_at(report, OPENS);
    cr_assert_lt(heap->cause, report->finding_count);
    static char peer[64];
    snprintf(peer, sizeof(peer), "%s", report->findings[heap->cause].peer);
    report_free(report);
    return peer;
}

Test(report, the_order_of_processes_decides_nothing)
{
    char first[64];
    snprintf(first, sizeof(first), "%s", peer_behind(7, 8));
    cr_expect_str_eq(peer_behind(8, 7), first);
}

/* ---- objects ---- */

static struct report *objects(uint32_t constructs, bool kept)
{
    struct report *report;
    cr_assert_eq(report_begin("trace", &report), 0);
    for (uint64_t i = 0; i < 200; i++) {
        feed_wait(&feed, 20 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x10000, 16, MADE);
        if (kept)
            feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x20000 + 64 * i, 16, MADE);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x100000 + 65536 * i, 40000, constructs);
        feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x10000, 0, 0);
    }
    add_process(report, 100);
    cr_assert_eq(report_end(report), 0);
    return report;
}

/* The objects are too small for a word of their own, but they are what is to be deleted. */
Test(report, what_a_constructor_takes_goes_with_the_object)
{
    struct report *report = objects(CONSTRUCTS, true);
    const struct report_finding *object = heap_at(report, MADE), *part = heap_at(report, 7);
    cr_expect_eq(object->count, 200);
    cr_expect_eq(object->cause, REPORT_NONE);
    cr_expect_eq(part->cause, (size_t)(object - report->findings));
    report_free(report);
}

Test(report, a_class_that_forgets_what_it_took_is_to_blame_itself)
{
    struct report *report = objects(CONSTRUCTS, false);
    cr_expect_eq(heap_at(report, 7)->cause, REPORT_NONE);
    cr_expect_eq(report->finding_count, 1);
    report_free(report);
    report = objects(CONSTRUCTS_ELSEWHERE, true);
    cr_expect_eq(heap_at(report, 7)->cause, REPORT_NONE, "other objects than those that pile up");
    cr_expect_eq(report->finding_count, 1, "and these are too few for a word");
    report_free(report);
}

/* Each node is a function of the same name, of a module of its own, and no file is known of any. */
static const struct stack *module_of_one(void *data, uint32_t node)
{
    static char modules[WORK + 1][16];
    static struct frame frames[WORK + 1];
    static struct stack stacks[WORK + 1];
    cr_assert(node <= WORK);
    snprintf(modules[node], sizeof(modules[node]), "lib%u.so", (unsigned)node);
    frames[node] = (struct frame){.function = "insert", .module = modules[node], .user = true};
    stacks[node] = (struct stack){.frames = &frames[node], .count = node != 0};
    return &stacks[node];
}

Test(report, functions_of_one_name_in_two_modules)
{
    static const struct report_stacks modules = {NULL, module_of_one};
    struct report *report = two_workers(397, 290, &modules);
    size_t alone = 0;
    for (size_t i = 0; i < report->finding_count; i++)
        alone += report->findings[i].resource == STRAY_PYOBJECT && report->findings[i].cause == REPORT_NONE;
    cr_expect_eq(alone, 2);
    report_free(report);
}

static struct report *waits_and_is_kept(unsigned hook)
{
    for (unsigned i = 0; i < 3; i++) {
        feed_hook(&feed, hook, STRAY_WAITED, STRAY_RESOURCE_NONE, 0, 1, 0);
        feed_hook(&feed, STRAY_HOOK_NONE, STRAY_BLOCKED, STRAY_RESOURCE_NONE, UINT64_MAX, 80 * MS, 0);
    }
    feed_finish(&feed);
    return feed_report(&feed, false);
}

static void accept_connection(void)
{
    feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 9, 0, POOL);
}

/* Where no hook is named, as in damaged traces. */
Test(report, a_wait_of_no_name_is_a_call)
{
    accept_connection();
    struct report *report = waits_and_is_kept(STRAY_HOOK_epoll_wait);
    const struct report_finding *finding = report->finding_count ? &report->findings[0] : NULL;
    cr_assert(finding && finding->verdict == VERDICT_BLOCKED_EVENT_LOOP);
    cr_expect_eq(finding->resource, STRAY_CONNECTION);
    cr_expect_null(finding->call);
    report_free(report);
}

Test(report, a_tool_that_waits_for_its_files_keeps_nobody)
{
    struct report *report = waits_and_is_kept(STRAY_HOOK_epoll_wait);
    cr_expect_eq(report->finding_count, 0);
    report_free(report);
}

Test(report, whoever_waits_for_one_answer_by_poll_is_no_loop)
{
    accept_connection();
    struct report *report = waits_and_is_kept(STRAY_HOOK_poll);
    cr_expect_eq(report->finding_count, 0);
    report_free(report);
}

/* Where sockets are not traced, libpq says which server it is connected to. */
Test(report, statements_name_the_server_without_its_connection)
{
    struct report_process process = {.pid = 100, .exe = "/usr/bin/python3", .end = "exit"};
    struct report *report;
    feed_hook(&feed, STRAY_HOOK_PQconnectdb, STRAY_OPEN, STRAY_PGCONN, 0x1000, 0, POOL);
    feed_event(&feed, STRAY_ENDPOINT, STRAY_PGCONN, 0x1000, 8, 0);
    service_use(&feed, 0x1000, WORK);
    feed_exit(&feed);
    feed_finish(&feed);
    cr_assert_eq(report_begin("trace", &report), 0);
    report->with_statements = true;
    cr_assert_eq(report_add(report, &process, feed.lives, &feed_stacks, false), 0);
    cr_assert_eq(report_end(report), 0);
    cr_assert_eq(report->statement_count, 1);
    cr_assert_eq(report->statements[0].peer_count, 1);
    cr_expect_str_eq(report->statements[0].peers[0], "peer-8");
    report_free(report);
}
