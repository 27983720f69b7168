/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who used last what leaked: told where most agree, and where it says who leaks. */
#include <criterion/criterion.h>
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

TestSuite(last_use, .init = begin, .fini = end);

/* A helper opens them, for whoever asks: not each of those gives them back. */
Test(last_use, who_used_leaked_connections_last_is_told)
{
    for (uint64_t i = 0; i < 60; i++) {
        uint64_t conn = 0x10000 + 16 * i;
        uint32_t user = i % 4 ? HOARD : TWIN;
        feed_wait(&feed, 20 * MS);
        feed_pg_connect(&feed, conn, 100 + i, LEAKY);
        service_use(&feed, conn, user);
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
    char *text = feed_rendered(report, false, &plain);
    cr_expect_not_null(strstr(text, "    last used at app.py:60 f60() (45 of 45)\n"), "%s", text);
    free(text);
    report_free(report);
}

/* The same helper opens some that are in use all the while, more than it leaks: those do not say who leaks. */
Test(last_use, who_used_others_last_is_not_told)
{
    const uint64_t in_use = 24, leaked = 12;
    for (uint64_t i = 0; i < in_use; i++)
        feed_pg_connect(&feed, 0x1000 + 16 * i, 50 + i, LEAKY);
    for (uint64_t round = 0; round < 10 * leaked; round++) {
        uint64_t conn = 0x10000 + 16 * round;
        bool leaks = round % 10 == 0;
        feed_wait(&feed, 20 * MS);
        feed_pg_connect(&feed, conn, 100 + round, LEAKY);
        service_use(&feed, conn, leaks ? HOARD : TWIN);
        if (!leaks)
            feed_pg_close(&feed, conn, 100 + round, BY_CLOSE);
        for (uint64_t i = 0; i < in_use; i++)
            service_use(&feed, 0x1000 + 16 * i, TWIN);
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
        service_use(&feed, 0x10000 + 16 * i, user);
    }
    feed_exit(&feed);
    feed_finish(&feed);
    cr_assert_eq(report_add(report, &process, feed.lives, &feed_stacks, false), 0);
}

/* Most of all of them, in whatever order the processes come. */
Test(last_use, who_used_those_of_several_processes_last_is_told)
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
