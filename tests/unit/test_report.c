/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From events to what people and programs read. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "views/json.h"
#include "views/text.h"

enum { LEAKY = 10, TWIN = 20, POOL = 30, SERVER = 40, DROPPED = 50, HOARD = 60, WORK = 70 };

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

/* A service with a pool of five, a function that leaks its connection, and one that closes it. */
static void service(int requests)
{
    for (uint64_t i = 0; i < 5; i++)
        feed_pg_connect(&feed, 0x1000 + 16 * i, 50 + i, POOL);
    for (int i = 0; i < requests; i++) {
        uint64_t leaked = 0x10000 + 16 * (uint64_t)i;
        feed_wait(&feed, 20 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 10, 7, SERVER);
        feed_pg_use(&feed, 0x1000 + 16 * ((uint64_t)i % 5));
        feed_pg_connect(&feed, leaked, 100 + (uint64_t)i, LEAKY);
        feed_pg_use(&feed, leaked);
        feed_pg_connect(&feed, 0x900000, 11, TWIN);
        feed_pg_use(&feed, 0x900000);
        feed_wait(&feed, 2 * MS);
        feed_pg_close(&feed, 0x900000, 11, BY_CLOSE);
        feed_event(&feed, STRAY_CLOSE, STRAY_CONNECTION, 10, 0, BY_CLOSE);
    }
    feed_wait(&feed, 20 * MS);
}

Test(report, a_leak_is_told_once_with_its_consequence)
{
    service(60);
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
                      ((finding->site->line == POOL || finding->verdict == VERDICT_CHURN) && finding->severity == SEVERITY_NOTE),
                  "%s", finding->message);
    }
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

/* Every request allocates `kept` bytes that stay and some that do not. */
static void allocate(int requests, uint64_t kept)
{
    for (int i = 0; i < requests; i++) {
        feed_wait(&feed, MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x100000 + 4096 * (uint64_t)i, kept, HOARD);
        for (int k = 0; k < 10; k++) {
            feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x80, 100, WORK);
            feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x80, 0, 0);
        }
    }
}

Test(report, two_hundred_large_blocks)
{
    allocate(200, 100000);
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
    allocate(10000, 64);
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
    service(60);
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

Test(report, a_name_that_is_looked_up_is_no_leak)
{
    static const struct report_stacks lines = {NULL, by_name};
    struct report *report = two_workers(397, 290, &lines);
    cr_expect_null(feed_finding(report, VERDICT_LEAKED, STRAY_PYOBJECT, LEAKY));
    cr_expect_eq(kept(report, TWIN)->count, 8000);
    report_free(report);
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

/* ---- rendered ---- */

static char *rendered(const struct report *report, bool json, const struct text_options *options)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    cr_assert_eq(json ? report_write_json(report, true, out) : report_write_text(report, options, out), 0);
    fclose(out);
    return text;
}

static void everything(void)
{
    service(60);
    feed_event(&feed, STRAY_MEMORY, 0, 100 << 20, 1 << 20, 0);
    allocate(200, 100000);
    feed_event(&feed, STRAY_MEMORY, 0, 150 << 20, 2 << 20, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x77, 1, 0);
    feed_exit(&feed);
}

/* Where no hook is named, as in damaged traces. */
Test(report, a_wait_of_no_name_is_a_call)
{
    for (unsigned i = 0; i < 3; i++) {
        feed_hook(&feed, STRAY_HOOK_epoll_wait, STRAY_WAITED, STRAY_RESOURCE_NONE, 0, i, 0);
        feed_hook(&feed, STRAY_HOOK_NONE, STRAY_BLOCKED, STRAY_RESOURCE_NONE, UINT64_MAX, 80 * MS, 0);
    }
    feed_finish(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding = report->finding_count ? &report->findings[0] : NULL;
    cr_assert(finding && finding->verdict == VERDICT_BLOCKED_EVENT_LOOP);
    cr_expect_eq(finding->resource, STRAY_CONNECTION);
    cr_expect_null(finding->call);
    report_free(report);
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

Test(report, columns_stand_below_each_other)
{
    const struct text_options options = {0};
    static struct report_peer peers[] = {{.text = "plain:5432", .open = 3}, {.text = "d\033b:5432", .open = 2}, {.text = "m\xc3\xbcnchen:5432", .open = 1}};
    everything();
    struct report *report = feed_report(&feed, true);
    struct report_peer *own = report->peers;
    size_t count = report->peer_count;
    report->peers = peers;
    report->peer_count = 3;
    char *text = rendered(report, false, &options);
    size_t column = column_of_open(text, "plain:5432");
    cr_expect_eq(column_of_open(text, "d\\x1bb:5432"), column);
    cr_expect_eq(column_of_open(text, "m\xc3\xbcnchen:5432"), column);
    free(text);
    report->peers = own;
    report->peer_count = count;
    report_free(report);
}

/* The schema is checked by the library whose business it is. */
Test(report, json_is_what_the_schema_says)
{
    everything();
    struct report *report = feed_report(&feed, true);
    char *json = rendered(report, true, NULL);
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

Test(report, json_holds_the_figures)
{
    everything();
    struct report *report = feed_report(&feed, true);
    char *text = rendered(report, true, NULL);
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
Test(report, intervals_of_samples)
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
    char *text = rendered(report, true, NULL);
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

Test(report, text_fits_the_page)
{
    static const struct text_options all = {.verbose = true, .sites = true};
    everything();
    struct report *report = feed_report(&feed, true);
    char *text = rendered(report, false, &all);
    for (const char *line = text; *line;) {
        size_t bytes = strcspn(line, "\n");
        cr_expect_leq(columns(line, bytes), TEXT_WIDTH);
        line += bytes + (line[bytes] == '\n');
    }
    free(text);
    report_free(report);
}

Test(report, text_has_the_answer_first)
{
    static const struct text_options plain = {0};
    everything();
    struct report *report = feed_report(&feed, false);
    char *text = rendered(report, false, &plain);
    const char *answer = strchr(text, '\n') + 1;
    cr_expect_eq(strncmp(answer, "1 leak (1 symptom), 2 notes", 27), 0, "%s", text);
    const char *first = strstr(text, "[1] LEAKED  connection  60  ->  peer-5");
    cr_expect_not_null(first, "%s", text);
    cr_expect_not_null(strstr(text, "f10()  app.py:10"));
    cr_expect_not_null(strstr(text, "also holds 60 pgconn ["));
    cr_expect_not_null(strstr(text, "caused by [1]: fix that first"));
    cr_expect_gt(strstr(text, "f20()"), strstr(text, "CHURN  connection  60"), "of the twin there is a note, further down");
    cr_expect_not_null(strstr(text, "NOT LEAKS"));
    cr_expect_null(strstr(text, "\033"));
    free(text);
    report_free(report);
}

static void use_at(uint64_t conn, uint32_t user)
{
    feed_hook(&feed, STRAY_HOOK_PQexec, STRAY_STATEMENT, STRAY_PGCONN, conn, FEED_READ | UINT64_C(50) << 32, user);
    feed_hook(&feed, STRAY_HOOK_PQexec, STRAY_USE, STRAY_PGCONN, conn, MS, user);
}

/* A helper opens them, for whoever asks: not each of those gives them back. */
Test(report, who_used_leaked_connections_last_is_told)
{
    for (uint64_t i = 0; i < 60; i++) {
        uint64_t conn = 0x10000 + 16 * i;
        uint32_t user = i % 4 ? HOARD : TWIN;
        feed_wait(&feed, 20 * MS);
        feed_pg_connect(&feed, conn, 100 + i, LEAKY);
        use_at(conn, user);
        if (user == TWIN)
            feed_pg_close(&feed, conn, 100 + i, BY_CLOSE);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *connection = feed_finding(report, VERDICT_LEAKED, STRAY_CONNECTION, LEAKY);
    cr_assert_not_null(connection);
    cr_expect_eq(connection->count, 45);
    cr_expect_eq(connection->last_users, 45);
    cr_expect_eq(connection->last_user.line, HOARD);
    static const struct text_options plain = {0};
    char *text = rendered(report, false, &plain);
    cr_expect_not_null(strstr(text, "    last used at app.py:60 f60() (45 of 45)\n"), "%s", text);
    free(text);
    report_free(report);
}

/* The same helper opens some that are in use all the while, more than it leaks: those do not say who leaks. */
Test(report, who_used_others_last_is_not_told)
{
    const uint64_t in_use = 24, leaked = 12;
    for (uint64_t i = 0; i < in_use; i++)
        feed_pg_connect(&feed, 0x1000 + 16 * i, 50 + i, LEAKY);
    for (uint64_t round = 0; round < 10 * leaked; round++) {
        uint64_t conn = 0x10000 + 16 * round;
        bool leaks = round % 10 == 0;
        feed_wait(&feed, 20 * MS);
        feed_pg_connect(&feed, conn, 100 + round, LEAKY);
        use_at(conn, leaks ? HOARD : TWIN);
        if (!leaks)
            feed_pg_close(&feed, conn, 100 + round, BY_CLOSE);
        for (uint64_t i = 0; i < in_use; i++)
            use_at(0x1000 + 16 * i, TWIN);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *conn = feed_finding(report, VERDICT_LEAKED, STRAY_PGCONN, LEAKY);
    cr_assert_not_null(conn);
    cr_expect_eq(conn->count, leaked, "%s", conn->message);
    cr_expect_eq(conn->last_users, leaked);
    cr_expect_eq(conn->last_user.line, HOARD, "line %u, %u", conn->last_user.line, (unsigned)conn->last_users);
    report_free(report);
}

/* Adds a process that leaked so many connections, which were last used at `user`. */
static void add_leaking(struct report *report, uint32_t pid, uint64_t count, uint32_t user)
{
    struct report_process process = {.pid = pid, .exe = "/usr/bin/python3", .end = "exit", .complete = true};
    feed_close_all(&feed);
    feed_open(&feed);
    for (uint64_t i = 0; i < count; i++) {
        feed_wait(&feed, 20 * MS);
        feed_pg_connect(&feed, 0x10000 + 16 * i, 100 + i, LEAKY);
        use_at(0x10000 + 16 * i, user);
    }
    feed_exit(&feed);
    feed_finish(&feed);
    cr_assert_eq(report_add(report, &process, feed.lives, &feed_stacks, false), 0);
}

/* Most of all of them, in whatever order the processes come. */
Test(report, who_used_those_of_several_processes_last_is_told)
{
    static const struct {
        uint64_t count[3];
        uint32_t user[3], told;
        uint64_t told_count;
    } cases[] = {
        {{10, 12, 12}, {TWIN, HOARD, HOARD}, HOARD, 24}, {{12, 12, 10}, {HOARD, HOARD, TWIN}, HOARD, 24},
        {{12, 10, 12}, {HOARD, TWIN, HOARD}, HOARD, 24}, {{20, 20, 20}, {TWIN, HOARD, WORK}, 0, 0},
        {{20, 15, 15}, {TWIN, HOARD, LEAKY}, 0, 0},      {{10, 10, 30}, {TWIN, HOARD, LEAKY}, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct report *report;
        cr_assert_eq(report_begin("trace", &report), 0);
        for (uint32_t k = 0; k < 3; k++)
            add_leaking(report, 100 + k, cases[i].count[k], cases[i].user[k]);
        cr_assert_eq(report_end(report), 0);
        const struct report_finding *conn = feed_finding(report, VERDICT_LEAKED, STRAY_PGCONN, LEAKY);
        cr_assert_not_null(conn);
        cr_expect_eq(conn->count, cases[i].count[0] + cases[i].count[1] + cases[i].count[2]);
        cr_expect_eq(conn->last_users, cases[i].told_count, "case %u: %u", (unsigned)i, (unsigned)conn->last_users);
        cr_expect(conn->last_users == 0 || conn->last_user.line == cases[i].told, "case %u: line %u", (unsigned)i, conn->last_user.line);
        report_free(report);
    }
}

/* Where sockets are not traced, libpq says which server it is connected to. */
Test(report, statements_name_the_server_without_its_connection)
{
    struct report_process process = {.pid = 100, .exe = "/usr/bin/python3", .end = "exit"};
    struct report *report;
    feed_hook(&feed, STRAY_HOOK_PQconnectdb, STRAY_OPEN, STRAY_PGCONN, 0x1000, 0, POOL);
    feed_event(&feed, STRAY_ENDPOINT, STRAY_PGCONN, 0x1000, 8, 0);
    use_at(0x1000, WORK);
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

/* The loop's line runs whatever a task does that was made elsewhere. */
Test(report, what_an_event_loop_ran_is_told)
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
        char *text = rendered(&report, false, &plain);
        bool told = strstr(text, "    by a task or a callback of the event loop: connect_utils.py:684 _create_ssl_connection()\n") != NULL;
        cr_expect_eq(told, blame == 5, "%s", text);
        free(text);
    }
}

Test(report, the_same_events_give_the_same_bytes)
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
        texts[i][0] = rendered(report, true, NULL);
        texts[i][1] = rendered(report, false, &options);
        report_free(report);
    }
    cr_expect_str_eq(texts[0][0], texts[1][0]);
    cr_expect_str_eq(texts[0][1], texts[1][1]);
    for (int i = 0; i < 4; i++)
        free(texts[i / 2][i % 2]);
}

Test(report, nothing_to_say_is_said)
{
    static const struct text_options plain = {0};
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    char *text = rendered(report, false, &plain);
    cr_expect_not_null(strstr(text, "Too short to tell"));
    free(text);
    report_free(report);
}
