/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "feed.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "views/json.h"

#define NODES 10000

static const char *endpoint(void *data, uint64_t id)
{
    static char texts[100][16];
    if (id >= 100)
        return NULL;
    snprintf(texts[id], sizeof(texts[id]), "peer-%u", (unsigned)id);
    return texts[id];
}

static enum closer closer(void *data, uint32_t node)
{
    switch (node) {
    case BY_CLOSE:
        return CLOSER_EXPLICIT;
    case BY_DESTRUCTOR:
        return CLOSER_DESTRUCTOR;
    case BY_COLLECTOR:
        return CLOSER_COLLECTOR;
    case BY_EXIT:
        return CLOSER_EXIT;
    default:
        return CLOSER_UNKNOWN;
    }
}

static double seconds(void *data, uint64_t time)
{
    return (double)time / 1e9;
}

static const char *statement(void *data, uint64_t id)
{
    static const char *const texts[] = {
        [FEED_BEGIN] = "BEGIN",
        [FEED_READ] = "SELECT n FROM accounts WHERE id = $?",
        [FEED_READ_LOCKED] = "SELECT n FROM accounts WHERE id = $? FOR UPDATE",
        [FEED_WRITE] = "UPDATE accounts SET n = $? WHERE id = $?",
        [FEED_PAGE] = "SELECT n FROM accounts WHERE id > $1 ORDER BY id LIMIT $?",
        [FEED_BATCH] = "DELETE FROM accounts WHERE id IN ($?)",
        [FEED_ADD] = "UPDATE accounts SET n = n + $? WHERE id = $?",
    };
    return id < sizeof(texts) / sizeof(*texts) ? texts[id] : NULL;
}

static const struct lives_source source = {NULL, endpoint, closer, seconds, seconds, NULL, statement, NULL, 0, true, 0, NULL};

static const struct stack *stack_of(void *data, uint32_t node)
{
    static struct frame frames[NODES];
    static struct stack stacks[NODES];
    static char names[NODES][12];
    cr_assert(node < NODES);
    snprintf(names[node], sizeof(names[node]), "f%u", node > FEED_ELSEWHERE && node < BY_CLOSE ? node - FEED_ELSEWHERE : node);
    frames[node] = (struct frame){
        .function = names[node], .file = "app.py", .line = node, .language = LANGUAGE_PYTHON, .user = true, .installed = node == FEED_TOOL};
    stacks[node] = (struct stack){.frames = &frames[node], .count = node != 0};
    return &stacks[node];
}

const struct report_stacks feed_stacks = {NULL, stack_of};

void feed_open(struct feed *feed)
{
    feed_open_sampled(feed, 0);
}

void feed_open_sampled(struct feed *feed, double mean)
{
    struct lives_source sampled = source;
    sampled.heap_mean = mean;
    *feed = (struct feed){.thread = MAIN_THREAD};
    cr_assert_eq(lives_open(&sampled, &feed->lives), 0);
}

void feed_wait(struct feed *feed, uint64_t nanoseconds)
{
    feed->now += nanoseconds;
}

void feed_hook(struct feed *feed, unsigned hook, unsigned action, unsigned resource, uint64_t handle,
               uint64_t value, uint32_t stack)
{
    feed->now += 1000;
    struct stray_event event = {.time = feed->now,
                                .handle = handle,
                                .value = value,
                                .stack = stack,
                                .hook = (uint16_t)hook,
                                .action = (uint8_t)action,
                                .resource = (uint8_t)resource};
    cr_assert_eq(lives_feed(feed->lives, &event, feed->lane, feed->thread, feed->since), 0);
    if (feed->ledger)
        cr_assert_eq(ledger_event(feed->ledger, feed->lives, &event), 0);
}

void feed_event(struct feed *feed, unsigned action, unsigned resource, uint64_t handle, uint64_t value,
                uint32_t stack)
{
    feed_hook(feed, 0, action, resource, handle, value, stack);
}

void feed_connect(struct feed *feed, uint64_t fd, uint64_t peer, uint32_t stack)
{
    feed_event(feed, STRAY_OPEN, STRAY_SOCKET, fd, 0, stack);
    feed_event(feed, STRAY_CONNECTED, STRAY_CONNECTION, fd, peer, stack);
}

void feed_close(struct feed *feed, uint64_t fd, uint32_t closing_stack)
{
    feed_event(feed, STRAY_CLOSE, STRAY_CONNECTION, fd, 0, closing_stack);
}

void feed_pg_connect(struct feed *feed, uint64_t conn, uint64_t fd, uint32_t stack)
{
    feed_connect(feed, fd, 5, stack);
    feed_hook(feed, STRAY_HOOK_PQconnectdb, STRAY_OPEN, STRAY_PGCONN, conn, 0, stack);
    feed_event(feed, STRAY_LINK, STRAY_PGCONN, conn, fd, 0);
}

void feed_pg_use(struct feed *feed, uint64_t conn)
{
    feed_hook(feed, STRAY_HOOK_PQexec, STRAY_USE, STRAY_PGCONN, conn, 500, 0);
}

void feed_pg_close(struct feed *feed, uint64_t conn, uint64_t fd, uint32_t closing_stack)
{
    feed_event(feed, STRAY_CLOSE, STRAY_PGCONN, conn, 0, closing_stack);
    feed_close(feed, fd, closing_stack);
}

void feed_exit(struct feed *feed)
{
    feed_event(feed, STRAY_END_BEGINS, 0, 0, STRAY_ENDING_EXIT, 0);
    feed_event(feed, STRAY_END, 0, 0, STRAY_ENDING_EXIT, 0);
}

void feed_finish(struct feed *feed)
{
    cr_assert_eq(lives_finish(feed->lives), 0);
}

void feed_close_all(struct feed *feed)
{
    lives_close(feed->lives);
    feed->lives = NULL;
}

static struct report_process process_of(const struct feed *feed)
{
    static const char *command[] = {"python3", "app.py"};
    return (struct report_process){.pid = 100,
                                   .parent_pid = 1,
                                   .exe = "/usr/bin/python3",
                                   .command = command,
                                   .command_count = 2,
                                   .start_realtime_ns = 1700000000123456789,
                                   .duration_s = (double)feed->now / 1e9,
                                   .end = "exit",
                                   .exit_known = true,
                                   .events = feed->lives->events,
                                   .complete = true};
}

struct report *feed_report(struct feed *feed, bool all)
{
    struct report_process process = process_of(feed);
    struct report *report;
    feed_finish(feed);
    cr_assert_eq(report_begin("trace", &report), 0);
    if (feed->places)
        cr_assert_eq(report_want_places(report), 0);
    cr_assert_eq(report_add(report, &process, feed->lives, &feed_stacks, all), 0);
    cr_assert_eq(report_end(report), 0);
    return report;
}

void feed_add_worker(struct feed *feed, struct report *report, uint32_t pid)
{
    struct report_process process = process_of(feed);
    process.pid = pid;
    process.forked = true;
    process.parent_id[0] = 1;
    feed_finish(feed);
    cr_assert_eq(report_add(report, &process, feed->lives, &feed_stacks, true), 0);
    feed_close_all(feed);
}

void feed_keep_ledger(struct feed *feed)
{
    cr_assert_eq(ledger_begin(true, &feed->ledger), 0);
}

struct ledger *feed_ledger(struct feed *feed)
{
    struct ledger *ledger = feed->ledger;
    struct report_process process = process_of(feed);
    ledger->report = feed_report(feed, true);
    cr_assert_eq(ledger_process(ledger, &process, feed->lives, &feed_stacks), 0);
    feed->ledger = NULL;
    return ledger;
}

const struct report_finding *feed_finding(const struct report *report, enum verdict verdict,
                                          unsigned resource, uint32_t stack)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct report_finding *finding = &report->findings[i];
        if (finding->verdict == verdict && finding->resource == resource && finding->site &&
            finding->site->line == stack)
            return finding;
    }
    return NULL;
}

size_t feed_open_at_tc(const struct feed *feed, unsigned resource)
{
    size_t count = 0;
    for (size_t i = 0; i < feed->lives->life_count; i++) {
        const struct life *life = &feed->lives->lives[i];
        count += life->resource == resource && life_open_at_tc(life);
    }
    return count;
}

void feed_expect(const struct feed *feed, unsigned resource, uint64_t opened, uint64_t closed, uint64_t open)
{
    const struct book *book = &feed->lives->books[resource];
    cr_expect_eq(book->opened, opened, "opened %u, not %u", (unsigned)book->opened, (unsigned)opened);
    cr_expect_eq(book->closed, closed, "closed %u, not %u", (unsigned)book->closed, (unsigned)closed);
    cr_expect_eq(book->open, open, "open %u, not %u", (unsigned)book->open, (unsigned)open);
}

const struct site *feed_site(const struct feed *feed, unsigned resource, uint32_t stack)
{
    for (size_t i = 0; i < feed->lives->site_count; i++) {
        const struct site *each = &feed->lives->sites[i];
        if (each->resource == resource && each->stack == stack)
            return each;
    }
    static const struct site none;
    cr_expect(false, "no site");
    return &none;
}

char *feed_rendered(const struct report *report, bool json, const struct text_options *options)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    cr_assert_eq(json ? report_write_json(report, true, out) : report_write_text(report, options, out), 0);
    fclose(out);
    return text;
}
