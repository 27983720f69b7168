/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What piles up in an installed program: no leak where it served nobody and ended by itself soon, and a leak in whatever else. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "feed.h"

#define OWN 1

static struct feed feed;

static void begin(void)
{
    feed_open(&feed);
}

static void end(void)
{
    feed_close_all(&feed);
}

TestSuite(tools, .init = begin, .fini = end);

/* Keeps 4 MiB, so many milliseconds apart. */
static void keep(uint32_t stack, uint64_t apart)
{
    for (uint64_t i = 0; i < 4096; i++) {
        feed_wait(&feed, apart * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x100000 + 4096 * i, 1024, stack);
        for (int k = 0; k < 4; k++) {
            feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x80, 100, 2);
            feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x80, 0, 0);
        }
    }
}

static void expect(enum verdict verdict, enum severity severity, uint32_t stack)
{
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding = feed_finding(report, verdict, STRAY_HEAP, stack);
    cr_assert_not_null(finding, "no %s", verdict_name(verdict));
    cr_expect_eq(finding->severity, severity);
    cr_expect_eq(report->finding_count, 1);
    report_free(report);
}

Test(tools, one_that_ended_by_itself_is_noted)
{
    keep(FEED_TOOL, 1);
    feed_exit(&feed);
    expect(VERDICT_OPEN_AT_EXIT, SEVERITY_NOTE, FEED_TOOL);
}

Test(tools, a_program_of_ones_own_leaks)
{
    keep(OWN, 1);
    feed_exit(&feed);
    expect(VERDICT_LEAKED, SEVERITY_ERROR, OWN);
}

Test(tools, one_that_goes_on_leaks)
{
    keep(FEED_TOOL, 1);
    feed_finish(&feed);
    expect(VERDICT_LEAKED, SEVERITY_ERROR, FEED_TOOL);
}

Test(tools, one_that_was_stopped_leaks)
{
    keep(FEED_TOOL, 1);
    feed_event(&feed, STRAY_SIGNAL, 0, STRAY_SIGNAL_CAUGHT, 15, 0);
    feed_exit(&feed);
    expect(VERDICT_LEAKED, SEVERITY_ERROR, FEED_TOOL);
}

Test(tools, one_that_takes_long_leaks)
{
    keep(FEED_TOOL, 20);
    feed_exit(&feed);
    expect(VERDICT_LEAKED, SEVERITY_ERROR, FEED_TOOL);
}

Test(tools, one_that_serves_leaks)
{
    feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 10, 7 | STRAY_ACCEPTED, 3);
    feed_event(&feed, STRAY_CLOSE, STRAY_CONNECTION, 10, 0, BY_CLOSE);
    keep(FEED_TOOL, 1);
    feed_exit(&feed);
    expect(VERDICT_LEAKED, SEVERITY_ERROR, FEED_TOOL);
}
