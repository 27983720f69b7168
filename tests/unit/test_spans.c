/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A script of a second, a test suite, ten minutes of a process that has run for long, and a day of a service: traces with the
 * times of all that, from the file to the words of the report.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands/commands.h"
#include "sample.h"

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)
#define PEER   "db.example:5432"
#define SIZE   100000

enum place { LEAKS, CACHES, MEMOIZES, CONNECTS, POOLS, SERVES, PLACES };

static struct trace_writer *writer;
static uint32_t stack[PLACES], peer, client;
static uint64_t now, next_block;
static unsigned dice;

static void begin(void)
{
    static const char *const names[PLACES] = {"leaks", "caches", "memoizes", "connects", "pools", "serves"};
    writer = writer_new();
    now = START;
    next_block = 0x10000;
    dice = 1;
    writer_process(writer, START, "/usr/bin/app", (const char *const[]){"app", NULL});
    peer = writer_text(writer, STRAY_DEF_ENDPOINT, PEER);
    client = writer_text(writer, STRAY_DEF_ENDPOINT, "0.0.0.0:80");
    uint32_t root = writer_node(writer, STRAY_NODE_ROOT, 0, 1);
    for (unsigned i = 0; i < PLACES; i++) {
        uint32_t code = writer_code(writer, "/srv/app.py", names[i], 10 * i + 10, 11, "\x80\x01", 2);
        stack[i] = writer_node(writer, STRAY_NODE_PYTHON, root, (uint64_t)code << 32 | 6);
    }
    writer_put(writer, 0, now, STRAY_OWNER, 0, 0, 4121, 0, 0);
    writer_put(writer, 0, now, STRAY_CLOCK_PAIR, 0, 0, now, now, 0);
}

static void end(void)
{
    writer_free(writer);
}

TestSuite(spans, .init = begin, .fini = end);

static void put(unsigned action, unsigned resource, unsigned hook, uint64_t handle, uint64_t value, uint32_t at)
{
    writer_put(writer, 0, now += 1000, action, resource, hook, handle, value, at);
}

static void wait_s(double seconds)
{
    now += (uint64_t)(seconds * (double)SECOND);
}

static uint64_t block(enum place place)
{
    put(STRAY_OPEN, STRAY_HEAP, STRAY_HOOK_malloc, next_block += 16, SIZE, stack[place]);
    return next_block;
}

static void release(uint64_t handle)
{
    put(STRAY_CLOSE, STRAY_HEAP, STRAY_HOOK_free, handle, 0, 0);
}

static void connect_to(enum place place, uint64_t fd)
{
    put(STRAY_OPEN, STRAY_SOCKET, STRAY_HOOK_socket, fd, 0, stack[place]);
    put(STRAY_CONNECTED, STRAY_CONNECTION, STRAY_HOOK_connect, fd, peer, stack[place]);
}

static void disconnect(uint64_t fd)
{
    put(STRAY_CLOSE, STRAY_CONNECTION, STRAY_HOOK_close, fd, 0, stack[SERVES]);
}

static void accept_one(void)
{
    put(STRAY_OPEN, STRAY_CONNECTION, STRAY_HOOK_accept, 9, client, stack[SERVES]);
}

/* One in so many; the same in each run. */
static bool one_in(unsigned many)
{
    dice = dice * 1103515245 + 12345;
    return dice / 65536 % many == 0;
}

/* The report of what was put, by the verb itself; to be freed. */
static char *report(const char *const *options)
{
    const char *arguments[8] = {"report", sample_path("span.stray")};
    char *output, *errors;
    for (unsigned i = 0; options && options[i] && i < 5; i++)
        arguments[2 + i] = options[i];
    put(STRAY_CLOCK_PAIR, 0, 0, now, now, 0);
    put(STRAY_END_BEGINS, 0, STRAY_HOOK_exit, 0, STRAY_ENDING_EXIT, 0);
    writer_end(writer, 0, now += 1000);
    writer_save(writer, sample_path("span.stray"));
    int status = sample_run(command_report, arguments, NULL, &output, &errors);
    cr_assert_eq(status, 0, "%d: %s", status, errors);
    free(errors);
    return output;
}

/* Each of `wanted` is said, in this order; nothing of `unwanted` is. Both NULL-ended. */
static void expect(const char *const *wanted, const char *const *unwanted)
{
    char *text = report(NULL);
    const char *from = text;
    for (size_t i = 0; wanted[i]; i++) {
        const char *found = strstr(from, wanted[i]);
        cr_expect(found, "no <%s> from there on: %s\nin: %s", wanted[i], from, text);
        from = found ? found : from;
    }
    for (size_t i = 0; unwanted[i]; i++)
        cr_expect_not(strstr(text, unwanted[i]), "<%s> in: %s", unwanted[i], text);
    free(text);
}

#define SAYS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOTHING   ((const char *const[]){NULL})

/* ---- a script of a second ---- */

Test(spans, a_script_of_a_second_that_leaks)
{
    for (uint64_t i = 0; i < 200; i++) {
        connect_to(CONNECTS, 20 + i);
        block(LEAKS);
        release(block(SERVES));
        wait_s(0.005);
    }
    expect(SAYS("2 leaks", "LEAKED  connection  200", "connects()", "LEAKED  heap  200", "leaks()"), SAYS("too short", "serves()"));
}

Test(spans, a_script_of_a_second_that_does_too_little)
{
    for (uint64_t i = 0; i < 3; i++) {
        connect_to(CONNECTS, 20 + i);
        disconnect(20 + i);
        block(LEAKS);
        wait_s(0.3);
    }
    expect(SAYS("Too short to tell: no place acquired often enough to be judged", "too few to tell"), SAYS("No leak", "LEAKED"));
}

Test(spans, too_short_is_said_to_programs_too)
{
    block(LEAKS);
    char *text = report(SAYS("--format", "json"));
    cr_expect(strstr(text, "\"too_short\": true"), "%s", text);
    free(text);
}

/* ---- a test suite: each test makes what it needs, and removes it ---- */

static void suite(bool leaks)
{
    for (uint64_t test = 0; test < 150; test++) {
        uint64_t fixture[20];
        for (unsigned i = 0; i < 20; i++)
            fixture[i] = block(SERVES);
        connect_to(CONNECTS, 20 + test);
        wait_s(0.02);
        if (!leaks || test % 2)
            disconnect(20 + test);
        if (leaks)
            block(LEAKS);
        for (unsigned i = 0; i < 20; i++)
            release(fixture[i]);
    }
}

Test(spans, a_test_suite_that_leaks)
{
    suite(true);
    expect(SAYS("2 leaks", "LEAKED  connection  75", "LEAKED  heap  150", "leaks()"), SAYS("serves()"));
}

Test(spans, a_test_suite_that_is_clean)
{
    suite(false);
    expect(SAYS("No leak found"), SAYS("LEAKED", "CREEP", "Too short"));
}

/* ---- ten minutes of a process that has run for long: much is released that nobody saw acquired ---- */

static void ten_minutes(bool leaks)
{
    uint64_t ring[200] = {0}, at = 0;
    for (unsigned i = 0; i < 6000; i++) {
        accept_one();
        release(0x900000000 + 16 * (uint64_t)i); /* of before */
        if (ring[at % 200])
            release(ring[at % 200]);
        ring[at++ % 200] = block(CACHES);
        if (leaks && one_in(20))
            block(LEAKS);
        disconnect(9);
        wait_s(0.1);
    }
}

Test(spans, ten_minutes_of_a_service_that_leaks)
{
    ten_minutes(true);
    expect(SAYS("10 m", "1 leak", "LEAKED  heap", "leaks()", "never released in 10 m"), SAYS("caches()"));
}

Test(spans, ten_minutes_of_a_service_that_does_not)
{
    ten_minutes(false);
    expect(SAYS("10 m", "No leak found"), SAYS("LEAKED", "CREEP"));
}

/* Two minutes before the end somebody deploys something that keeps what it makes. */
Test(spans, growth_that_has_just_begun_is_too_early_to_tell)
{
    for (unsigned i = 0; i < 6000; i++) {
        accept_one();
        release(block(CACHES));
        if (i > 4800)
            block(LEAKS);
        disconnect(9);
        wait_s(0.1);
    }
    expect(SAYS("1 creep", "CREEP  heap", "leaks()", "growing for too short a time to tell: record", "more"), SAYS("LEAKED"));
}

/* ---- a day: quiet nights, busy noons ---- */

#define REQUESTS 40000

static double time_of_day(unsigned request)
{
    double work = (double)request / REQUESTS;
    return 86400 * (work - 0.9 * sin(2 * M_PI * work) / (2 * M_PI));
}

static void a_day(bool leaks)
{
    uint64_t ring[1000] = {0}, at = 0, leaked = 0;
    for (uint64_t i = 0; i < 5; i++)
        connect_to(POOLS, 10 + i);
    for (unsigned i = 0; i < REQUESTS; i++) {
        now = START + SECOND + (uint64_t)(time_of_day(i) * (double)SECOND);
        accept_one();
        put(STRAY_SAMPLE, STRAY_CONNECTION, 0, 10 + i % 5, UINT64_C(1) << 56 | i / 5, 0); /* established, sent */
        release(block(SERVES));
        if (ring[at % 1000])
            release(ring[at % 1000]);
        ring[at++ % 1000] = block(CACHES);
        if (leaks && one_in(100))
            block(LEAKS);
        if (leaks && one_in((unsigned)(1 + 3 * sqrt(i))))
            block(MEMOIZES);
        if (leaks && one_in(400))
            connect_to(CONNECTS, 2000 + leaked++);
        disconnect(9);
    }
}

Test(spans, a_day_of_a_service_that_leaks)
{
    a_day(true);
    expect(SAYS("24 h", "40 000 requests", "2 leaks, 1 creep", "LEAKED  connection", "connects()", "LEAKED  heap", "leaks()",
                "never released in 24 h", "CREEP  heap", "memoizes()", "growing ever more slowly"),
           SAYS("caches()", "serves()", "leaks()  caused"));
}

Test(spans, a_day_of_a_service_that_does_not)
{
    a_day(false);
    expect(SAYS("24 h", "No leak found"), SAYS("LEAKED", "CREEP"));
}
