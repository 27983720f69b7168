/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files by the million, of which only figures and the latest lives are kept; and temporary files. */
#include <criterion/criterion.h>
#include <string.h>

#include "feed.h"
#include "verdicts/tempfiles.h"

enum { LEAKY = 10, TWIN = 20, HELD = 30, LOG = 40, EXPORT = 50, OTHER = 60 };

static struct feed feed;

static void begin(void)
{
    feed_open(&feed);
}

static void end(void)
{
    feed_close_all(&feed);
}

TestSuite(files, .init = begin, .fini = end);

static void opens(uint64_t fd, uint32_t stack)
{
    feed_event(&feed, STRAY_OPEN, STRAY_FILE, fd, 0, stack);
}

static void closes(uint64_t fd, uint32_t closing_stack)
{
    feed_event(&feed, STRAY_CLOSE, STRAY_FILE, fd, 0, closing_stack);
}

/* Opened, and closed a millisecond later. */
static void visits(int times, uint32_t stack, uint32_t closing_stack)
{
    for (int i = 0; i < times; i++) {
        opens(900, stack);
        feed_wait(&feed, MS);
        closes(900, closing_stack);
        feed_wait(&feed, MS);
    }
}

static size_t at_most(size_t open, size_t sites)
{
    return 2 * (open + sites * RECENT_LIVES) + 2048;
}

Test(files, memory_does_not_grow_with_what_has_ended)
{
    for (uint64_t i = 0; i < 50; i++) {
        opens(1000 + i, LEAKY);
        visits(2000, TWIN, BY_CLOSE);
    }
    cr_expect_leq(feed.lives->life_count, at_most(50, 2));
    cr_expect_leq(feed.lives->life_room, 2 * at_most(50, 2));
    struct book *book = &feed.lives->books[STRAY_FILE];
    cr_expect_eq(book->opened, 100050);
    cr_expect_eq(book->closed, 100000);
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding = feed_finding(report, VERDICT_LEAKED, STRAY_FILE, LEAKY);
    cr_assert_not_null(finding);
    cr_expect_eq(finding->count, 50);
    cr_expect_eq(report->finding_count, 1);
    report_free(report);
}

Test(files, sockets_too)
{
    for (int i = 0; i < 20000; i++) {
        feed_event(&feed, STRAY_OPEN, STRAY_SOCKET, 5, 0, TWIN);
        feed_event(&feed, STRAY_CLOSE, STRAY_SOCKET, 5, 0, BY_CLOSE);
    }
    cr_expect_leq(feed.lives->life_count, at_most(0, 1));
}

Test(files, connections_and_pgconns_stay_where_they_were)
{
    for (uint64_t i = 0; i < 20; i++) {
        feed_pg_connect(&feed, 0x1000 + 16 * i, 100 + i, HELD);
        visits(500, TWIN, BY_CLOSE);
        feed_pg_use(&feed, 0x1000 + 16 * i);
    }
    for (uint64_t i = 0; i < 20; i++)
        feed_pg_close(&feed, 0x1000 + 16 * i, 100 + i, BY_CLOSE);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->books[STRAY_CONNECTION].closed, 20);
    cr_expect_eq(feed.lives->books[STRAY_PGCONN].closed, 20);
    size_t linked = 0;
    for (size_t i = 0; i < feed.lives->life_count; i++) {
        const struct life *life = &feed.lives->lives[i];
        if (life->partner == LIVES_NONE)
            continue;
        cr_assert_lt(life->partner, feed.lives->life_count);
        cr_expect_eq(feed.lives->lives[life->partner].partner, i);
        linked++;
    }
    cr_expect_eq(linked, 40);
}

Test(files, one_in_two_hundred_is_left)
{
    for (uint64_t i = 0; i < 25; i++) {
        visits(199, LEAKY, BY_CLOSE);
        opens(100 + i, LEAKY);
    }
    visits(10, TWIN, BY_CLOSE);
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding = feed_finding(report, VERDICT_LEAKED, STRAY_FILE, LEAKY);
    cr_assert_not_null(finding);
    cr_expect_eq(finding->count, 25);
    report_free(report);
}

/* A few that stay open from the start are no leak, however many are opened and closed beside them. */
Test(files, logs)
{
    for (uint64_t i = 0; i < 6; i++)
        opens(100 + i, LOG);
    visits(5000, TWIN, BY_CLOSE);
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    cr_expect_eq(report->finding_count, 0);
    report_free(report);
}

/* Each is held while the same thread opens and closes many others; the last ones are simply still in use. */
Test(files, held_while_others_come_and_go)
{
    for (uint64_t i = 0; i < 60; i++) {
        opens(100 + i, HELD);
        visits(100, TWIN, BY_CLOSE);
        if (i >= 4)
            closes(100 + i - 4, BY_CLOSE);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    cr_expect_null(feed_finding(report, VERDICT_LEAKED, STRAY_FILE, HELD));
    report_free(report);
}

Test(files, what_finalizers_close_is_counted_to_the_last)
{
    visits(300, OTHER, BY_COLLECTOR);
    visits(100, OTHER, BY_CLOSE);
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding = feed_finding(report, VERDICT_FINALIZER_CLOSED, STRAY_FILE, OTHER);
    cr_assert_not_null(finding);
    cr_expect_eq(finding->count, 300);
    report_free(report);
}

/* The number comes back without a close: that is one. */
Test(files, a_number_that_comes_back)
{
    for (int i = 0; i < 100; i++)
        opens(7, TWIN);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->books[STRAY_FILE].closed, 99);
    cr_expect_eq(feed.lives->books[STRAY_FILE].unknown, 0);
}

Test(files, what_was_inherited_is_nobodys)
{
    for (uint64_t i = 0; i < 3000; i++) {
        feed_event(&feed, STRAY_INHERITED, STRAY_FILE, 9, 0, 0);
        closes(9, BY_CLOSE);
    }
    cr_expect_eq(feed.lives->books[STRAY_FILE].inherited, 3000);
    cr_expect_eq(feed.lives->books[STRAY_FILE].opened, 0);
    cr_expect_eq(feed.lives->books[STRAY_FILE].unknown, 0);
    cr_expect_leq(feed.lives->life_count, 2048);
}

/* ---- temporary files ---- */

static void makes(uint64_t handle, uint64_t path)
{
    feed_event(&feed, STRAY_OPEN, STRAY_TEMPFILE, handle, path, EXPORT);
}

static void removes(uint64_t handle)
{
    feed_event(&feed, STRAY_CLOSE, STRAY_TEMPFILE, handle, 0, BY_CLOSE);
}

Test(files, temporary_files_left_behind)
{
    for (uint64_t i = 0; i < 40; i++) {
        makes(1000 + i, 3 + i);
        if (i % 4)
            removes(1000 + i);
    }
    feed_exit(&feed);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding = feed_finding(report, VERDICT_LEAKED, STRAY_TEMPFILE, EXPORT);
    cr_assert_not_null(finding);
    cr_expect_eq(finding->count, 10);
    cr_expect_eq(finding->bytes, 0);
    cr_expect_str_eq(finding->message,
                     "f50 leaves temporary files behind: 10 of 40 made are still there, for example peer-3");
    report_free(report);
}

Test(files, what_an_exit_handler_removes_is_not_left)
{
    for (uint64_t i = 0; i < 40; i++)
        makes(1000 + i, 0);
    feed_exit(&feed);
    for (uint64_t i = 0; i < 40; i++)
        removes(1000 + i);
    struct report *report = feed_report(&feed, false);
    cr_expect_eq(report->finding_count, 0);
    cr_expect_eq(report->processes[0].books[STRAY_TEMPFILE].bytes_open, 0);
    report_free(report);
}

Test(files, a_renamed_one_stays_what_it_was)
{
    makes(1000, 3);
    makes(2000, 4);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_TEMPFILE, 1000, 0, 0);
    feed_event(&feed, STRAY_MOVE_TO, STRAY_TEMPFILE, 2000, 5, 0); /* replaces the other */
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_TEMPFILE, 3000, 0, 0); /* unknown */
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 3000, 10, 1);
    feed_event(&feed, STRAY_MOVE_TO, STRAY_TEMPFILE, 4000, 6, 0);
    feed_exit(&feed);
    cr_expect_eq(feed.lives->books[STRAY_TEMPFILE].open, 1);
    struct report *report = feed_report(&feed, false);
    const struct report_finding *finding = feed_finding(report, VERDICT_OPEN_AT_EXIT, STRAY_TEMPFILE, EXPORT);
    cr_assert_not_null(finding);
    cr_expect(strstr(finding->message, "1 of 2 made is still there, for example peer-5"), "%s", finding->message);
    report_free(report);
}

Test(files, a_path_that_is_told_later)
{
    makes(1000, 0);
    feed_event(&feed, STRAY_ENDPOINT, STRAY_TEMPFILE, 1000, 8, 0);
    feed_event(&feed, STRAY_ENDPOINT, STRAY_TEMPFILE, 2000, 9, 0);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_TEMPFILE, 1000, 0, 0);
    feed_event(&feed, STRAY_MOVE_TO, STRAY_TEMPFILE, 3000, 0, 0);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->sites[0].left, 1);
    cr_expect_eq(feed.lives->sites[0].left_path, 8);
}

Test(files, found_gone_by_another_process)
{
    makes(1000, 3);
    feed_event(&feed, STRAY_RECONCILED, STRAY_TEMPFILE, 1000, 0, 0);
    feed_event(&feed, STRAY_RECONCILED, STRAY_TEMPFILE, 1000, 0, 0);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->books[STRAY_TEMPFILE].closed, 1);
    cr_expect_eq(feed.lives->books[STRAY_TEMPFILE].unknown, 0);
}

static enum verdict judged(uint64_t opened, uint64_t left, bool exits, bool goes_on)
{
    struct tempfile_figures figures = {opened, left, exits, goes_on};
    struct tempfile_judgement judgement = tempfile_judge(&figures);
    bool loud = judgement.verdict == VERDICT_LEAKED || judgement.verdict == VERDICT_OPEN_AT_EXIT;
    cr_expect_eq(judgement.severity != SEVERITY_NONE, loud);
    return judgement.verdict;
}

Test(files, rules_for_temporary_files)
{
    cr_expect_eq(judged(40, 3, true, false), VERDICT_LEAKED);
    cr_expect_eq(judged(40, 2, true, false), VERDICT_OPEN_AT_EXIT);
    cr_expect_eq(judged(40, 0, true, false), VERDICT_STEADY);
    cr_expect_eq(judged(4, 0, true, false), VERDICT_FEW);
    cr_expect_eq(judged(1000, 8, false, false), VERDICT_STEADY); /* killed, maybe with eight under way */
    cr_expect_eq(judged(40, 10, false, false), VERDICT_LEAKED);
    cr_expect_eq(judged(1, 1, false, false), VERDICT_STEADY);
    cr_expect_eq(judged(40, 40, false, true), VERDICT_STEADY); /* what it became may remove them */
}
