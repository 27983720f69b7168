/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that were not joined and children that were not waited for: what is said of how many. */
#include <criterion/criterion.h>

#include "feed.h"
#include "verdicts/ended.h"

static struct ended_judgement children(uint64_t ended)
{
    struct ended_figures figures = {.ended = ended, .overtaken = ended, .child = true};
    return ended_judge(&figures);
}

static struct ended_judgement threads(uint64_t ended, uint64_t overtaken)
{
    struct ended_figures figures = {.ended = ended, .overtaken = overtaken};
    return ended_judge(&figures);
}

Test(ended, one_child_is_a_warning_and_ten_are_an_error)
{
    cr_expect_eq(children(0).severity, SEVERITY_NONE);
    cr_expect_eq(children(1).verdict, VERDICT_UNREAPED);
    cr_expect_eq(children(1).severity, SEVERITY_WARNING);
    cr_expect_eq(children(9).severity, SEVERITY_WARNING);
    cr_expect_eq(children(10).severity, SEVERITY_ERROR);
}

Test(ended, children_that_may_be_next_to_be_waited_for_are_not_left)
{
    struct ended_figures figures = {.ended = 9, .in_turn = 9, .child = true};
    cr_expect_eq(ended_judge(&figures).severity, SEVERITY_NONE);
    figures.ended = 12;
    cr_expect_eq(ended_judge(&figures).verdict, VERDICT_UNREAPED);
    cr_expect_eq(ended_judge(&figures).count, 3);
    figures.in_turn = 12;
    cr_expect_eq(ended_judge(&figures).count, 12, "too many to be next");
}

Test(ended, few_threads_are_no_leak)
{
    cr_expect_eq(threads(4, 4).severity, SEVERITY_NONE);
    cr_expect_eq(threads(5, 4).verdict, VERDICT_LEAKED);
    cr_expect_eq(threads(5, 4).severity, SEVERITY_ERROR);
}

Test(ended, a_pool_that_ends_together_is_no_leak)
{
    cr_expect_eq(threads(64, 0).severity, SEVERITY_NONE);
    cr_expect_eq(threads(64, 31).severity, SEVERITY_NONE);
    cr_expect_eq(threads(64, 32).verdict, VERDICT_LEAKED);
}

static struct feed feed;

Test(ended, the_report_names_the_place_and_the_number)
{
    feed_open(&feed);
    for (unsigned i = 0; i < 12; i++) {
        feed_event(&feed, STRAY_OPEN, STRAY_CHILD, 100 + i, 0, 7);
        feed_event(&feed, STRAY_EXITED, STRAY_CHILD, 100 + i, 0, 0);
        feed_event(&feed, STRAY_OPEN, STRAY_THREAD, 200, i + 1, 8);
        feed_event(&feed, STRAY_EXITED, STRAY_THREAD, 200, i + 1, 0);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding = feed_finding(report, VERDICT_UNREAPED, STRAY_CHILD, 7);
    cr_assert_not_null(finding);
    cr_expect_str_eq(finding->message, "12 children started by f7 have exited and were never waited for, of 12 started");
    finding = feed_finding(report, VERDICT_LEAKED, STRAY_THREAD, 8);
    cr_assert_not_null(finding);
    cr_expect_str_eq(finding->message, "12 threads started by f8 have ended and were never joined, of 12 started");
    report_free(report);
    feed_close_all(&feed);
}

enum load { EVEN, GROWING }; /* requests: three a step; or one for each thread that there is */
enum work { NOTHING, MEMORY, CONNECTIONS };

static void works(enum work work, uint32_t which)
{
    feed.thread = 200 + which;
    if (work == MEMORY) {
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x80, 8, 6);
        feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x80, 0, 0);
    }
    if (work == CONNECTIONS)
        feed_event(&feed, STRAY_USED, STRAY_CONNECTION, 3, UINT64_C(1) << 40, 0);
}

static void request(void)
{
    feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 4, 0, 9);
    feed_event(&feed, STRAY_CLOSE, STRAY_CONNECTION, 4, 0, 0);
}

/* Sixty threads, one after the other, to the end of the run, and what they do from then on. */
static enum verdict crowd(bool requests, enum load load, enum work work)
{
    feed_close_all(&feed);
    feed_open(&feed);
    feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 3, 0, 9);
    for (uint32_t i = 0; i < 60; i++) {
        feed_wait(&feed, 50 * MS);
        feed.thread = MAIN_THREAD;
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000 + 16 * i, 8, 7);
        feed_event(&feed, STRAY_OPEN, STRAY_THREAD, 200 + i, i + 1, 8);
        for (uint32_t k = 0; requests && k <= (load == GROWING ? i : 2); k++)
            request();
        for (uint32_t k = work == NOTHING ? i : 0; k <= i; k++)
            works(work, k);
    }
    feed.thread = MAIN_THREAD;
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    enum verdict verdict = VERDICT_STEADY;
    for (size_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].resource == STRAY_THREAD)
            verdict = report->findings[i].verdict;
    report_free(report);
    return verdict;
}

Test(ended, threads_at_work_that_grow_with_the_load_are_no_leak)
{
    feed_open(&feed);
    cr_expect_eq(crowd(true, GROWING, CONNECTIONS), VERDICT_STEADY);
    cr_expect_eq(crowd(true, GROWING, NOTHING), VERDICT_LEAKED);
    feed_close_all(&feed);
}

Test(ended, threads_that_an_even_load_adds_are_a_leak_whatever_they_do)
{
    feed_open(&feed);
    cr_expect_eq(crowd(true, EVEN, NOTHING), VERDICT_LEAKED);
    cr_expect_eq(crowd(true, EVEN, MEMORY), VERDICT_LEAKED);
    cr_expect_eq(crowd(true, EVEN, CONNECTIONS), VERDICT_LEAKED);
    cr_expect_eq(crowd(false, EVEN, NOTHING), VERDICT_LEAKED);
    cr_expect_eq(crowd(false, EVEN, MEMORY), VERDICT_CREEP, "their own allocations, or a load");
    feed_close_all(&feed);
}
