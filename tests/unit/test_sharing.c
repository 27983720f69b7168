/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection and two processes, or more: who is to blame, and who only handed it on. */
#include <criterion/criterion.h>
#include <string.h>

#include "feed.h"
#include "verdicts/sharing.h"

enum { OPENS = 10, PARENT = 1, CHILD = 2, OTHER_CHILD = 3, GRANDCHILD = 4, FD = 5 };

static struct feed parent, child;
static struct report *report;

static void begin(void)
{
    cr_assert_eq(report_begin("traces", &report), 0);
    feed_open(&parent);
}

static void end(void)
{
    feed_close_all(&parent);
    report_free(report);
}

TestSuite(sharing, .init = begin, .fini = end);

Test(sharing, rule)
{
    cr_expect_eq(sharing_judge(&(struct sharing){.users = 0}), SEVERITY_NONE);
    cr_expect_eq(sharing_judge(&(struct sharing){.users = 1, .by_opener = true}), SEVERITY_NONE);
    cr_expect_eq(sharing_judge(&(struct sharing){.users = 1, .held = false}), SEVERITY_NONE);
    cr_expect_eq(sharing_judge(&(struct sharing){.users = 1, .held = true}), SEVERITY_WARNING);
    cr_expect_eq(sharing_judge(&(struct sharing){.users = 2, .by_opener = true, .held = true}), SEVERITY_ERROR);
    cr_expect_eq(sharing_judge(&(struct sharing){.users = 2, .held = false}), SEVERITY_ERROR);
}

/* The process `id` forked by `parent_id` (0: by nobody) has come to its end. */
static void add(struct feed *feed, uint32_t id, uint32_t parent_id, uint64_t start)
{
    static const char *command[] = {"program"};
    struct report_process process = {.pid = id, .parent_pid = parent_id, .exe = "/program", .command = command,
                                     .command_count = 1, .end = "exit", .complete = true, .forked = parent_id != 0,
                                     .trace_id = {(uint8_t)id}, .parent_id = {(uint8_t)parent_id},
                                     .start_time = start, .end_time = feed->now};
    feed_finish(feed);
    cr_assert_eq(report_add(report, &process, feed->lives, &feed_stacks, true), 0);
}

static void use(struct feed *feed, uint64_t calls)
{
    feed_event(feed, STRAY_USED, STRAY_CONNECTION, FD, calls << 40, 0);
    feed_event(feed, STRAY_SAMPLE, STRAY_CONNECTION, FD, 1ull << 56 | UINT32_MAX, 0);
}

/* A connection, used once, and a child. */
static void parent_forks(uint32_t pid)
{
    if (parent.lives->life_count == 0) {
        feed_connect(&parent, FD, 7, OPENS);
        use(&parent, 1);
    }
    feed_event(&parent, STRAY_FORK, 0, pid, 0, 0);
}

/* What a child of that fork does: `value` of INHERITED, and so many calls. */
static void child_runs(uint32_t pid, uint32_t parent_id, uint64_t value, uint64_t calls)
{
    feed_open(&child);
    child.now = parent.now + 10 * MS;
    uint64_t start = child.now;
    feed_event(&child, STRAY_INHERITED, STRAY_CONNECTION, FD, value, 0);
    if (calls)
        use(&child, calls);
    add(&child, pid, parent_id, start);
    feed_close_all(&child);
}

static const struct report_finding *judged(void)
{
    cr_assert_eq(report_end(report), 0);
    return feed_finding(report, VERDICT_FORK_SHARED, STRAY_CONNECTION, OPENS);
}

static void parent_ends(uint64_t later)
{
    feed_wait(&parent, later);
    feed_exit(&parent);
    add(&parent, PARENT, 0, 0);
}

Test(sharing, used_by_a_child_whose_parent_holds_it)
{
    parent_forks(CHILD);
    child_runs(CHILD, PARENT, 7, 3);
    parent_ends(100 * MS);
    const struct report_finding *finding = judged();
    cr_assert_not_null(finding);
    cr_expect_eq(finding->severity, SEVERITY_WARNING);
    cr_expect_eq(finding->count, 1);
    cr_expect_eq(finding->pid_count, 2);
    cr_expect_str_eq(finding->message, "1 connection to peer-7 opened by f10 is used by 1 child process after the fork");
}

Test(sharing, used_by_both)
{
    parent_forks(CHILD);
    child_runs(CHILD, PARENT, 7, 3);
    feed_wait(&parent, 20 * MS);
    use(&parent, 2);
    parent_ends(100 * MS);
    const struct report_finding *finding = judged();
    cr_assert_not_null(finding);
    cr_expect_eq(finding->severity, SEVERITY_ERROR);
    cr_expect_str_eq(
        finding->message,
        "1 connection to peer-7 opened by f10 is used by 1 child process and by the process itself after the fork");
}

Test(sharing, used_by_two_children)
{
    parent_forks(CHILD);
    parent_forks(OTHER_CHILD);
    child_runs(CHILD, PARENT, 7, 3);
    child_runs(OTHER_CHILD, PARENT, 7, 1);
    parent_ends(0);
    const struct report_finding *finding = judged();
    cr_assert_not_null(finding);
    cr_expect_eq(finding->severity, SEVERITY_ERROR);
    cr_expect_eq(finding->count, 1);
    cr_expect_eq(finding->pid_count, 3);
}

Test(sharing, used_by_a_grandchild)
{
    parent_forks(CHILD);
    feed_open(&child);
    child.now = parent.now + MS;
    feed_event(&child, STRAY_INHERITED, STRAY_CONNECTION, FD, 7, 0);
    feed_event(&child, STRAY_FORK, 0, GRANDCHILD, 0, 0);
    feed_wait(&child, 50 * MS);
    add(&child, CHILD, PARENT, parent.now + MS);
    feed_close_all(&child);
    child_runs(GRANDCHILD, CHILD, 7, 1);
    parent_ends(100 * MS);
    const struct report_finding *finding = judged();
    cr_assert_not_null(finding);
    cr_expect_eq(finding->severity, SEVERITY_WARNING);
    cr_expect_eq(finding->pid_count, 2);
}

Test(sharing, inherited_and_never_used)
{
    parent_forks(CHILD);
    child_runs(CHILD, PARENT, 7, 0);
    use(&parent, 2);
    parent_ends(100 * MS);
    cr_expect_null(judged());
}

Test(sharing, a_daemon_whose_parent_has_ended)
{
    parent_forks(CHILD);
    child_runs(CHILD, PARENT, 7, 3);
    parent_ends(0);
    cr_expect_null(judged());
}

Test(sharing, handed_on_and_closed)
{
    parent_forks(CHILD);
    feed_close(&parent, FD, BY_CLOSE);
    child_runs(CHILD, PARENT, 7, 3);
    parent_ends(100 * MS);
    cr_expect_null(judged());
}

Test(sharing, opened_after_the_fork_under_the_same_number)
{
    feed_event(&parent, STRAY_FORK, 0, CHILD, 0, 0);
    feed_connect(&parent, FD, 7, OPENS);
    use(&parent, 1);
    child_runs(CHILD, PARENT, 7, 3);
    parent_ends(100 * MS);
    cr_expect_null(judged());
}

Test(sharing, accepted)
{
    feed_event(&parent, STRAY_OPEN, STRAY_CONNECTION, FD, 7, OPENS);
    use(&parent, 1);
    feed_event(&parent, STRAY_FORK, 0, CHILD, 0, 0);
    child_runs(CHILD, PARENT, 7 | STRAY_ACCEPTED, 3);
    use(&parent, 2);
    parent_ends(100 * MS);
    cr_expect_null(judged());
}

Test(sharing, a_stranger_with_the_same_number)
{
    parent_forks(CHILD);
    child_runs(CHILD, OTHER_CHILD, 7, 3);
    use(&parent, 2);
    parent_ends(100 * MS);
    cr_expect_null(judged());
}
