/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "feed.h"

static struct feed feed;

static void begin(void)
{
    feed_open(&feed);
}

static void end(void)
{
    feed_close_all(&feed);
}

TestSuite(ends, .init = begin, .fini = end);

/* ---- the end ---- */

Test(ends, counts_run_to_the_end_but_verdicts_do_not)
{
    feed_connect(&feed, 3, 5, 1);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100, 1);
    feed_event(&feed, STRAY_END_BEGINS, 0, 0, STRAY_ENDING_EXIT, 0);
    feed_close(&feed, 3, BY_CLOSE);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x1000, 0, 0);
    feed_connect(&feed, 4, 5, 1);
    feed_event(&feed, STRAY_END, 0, 7, STRAY_ENDING_EXIT, 0);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_CONNECTION, 2, 1, 1);
    feed_expect(&feed, STRAY_HEAP, 1, 1, 0);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 1, "the one that was open then");
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->alive, 1);
    cr_expect_eq(feed.lives->ending, ENDING_EXIT);
    cr_expect(feed.lives->exit_known && feed.lives->exit_status == 7);
    cr_expect(feed.lives->voluntary);
    cr_expect_eq(feed.lives->tc_thread, MAIN_THREAD);
}

Test(ends, what_an_exit_handler_closes_was_open)
{
    feed_connect(&feed, 3, 5, 1);
    feed_close(&feed, 3, BY_EXIT);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_CONNECTION, 1, 1, 0);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 1);
}

Test(ends, a_signal_begins_the_end)
{
    feed_connect(&feed, 3, 5, 1);
    feed_event(&feed, STRAY_SIGNAL, 0, 0, 15, 0);
    feed_close(&feed, 3, BY_CLOSE);
    feed_event(&feed, STRAY_END, 0, 0, STRAY_ENDING_EXIT, 0);
    feed_finish(&feed);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 1);
    cr_expect_not(feed.lives->voluntary);
    cr_expect_eq(feed.lives->ending, ENDING_EXIT);
}

/* Opened before the signal, closed after it; the process ends so many seconds after that. */
static void signalled(double before, double after)
{
    feed_connect(&feed, 3, 5, 1);
    feed_wait(&feed, (uint64_t)(before * 1e9));
    feed.lives->source.end = feed.now + (uint64_t)(after * 1e9);
    feed_event(&feed, STRAY_SIGNAL, 0, STRAY_SIGNAL_CAUGHT, 15, 0);
    feed_close(&feed, 3, BY_CLOSE);
    feed_wait(&feed, (uint64_t)(after * 1e9));
    feed_exit(&feed);
    feed_finish(&feed);
}

Test(ends, a_signal_that_is_obeyed_soon_begins_the_end)
{
    signalled(100, 50);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 1);
}

Test(ends, long_runs_may_take_longer_to_obey)
{
    signalled(36000, 1200);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 1);
}

Test(ends, who_goes_on_for_long_has_not_obeyed)
{
    signalled(300, 70);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 0);
    cr_expect(feed.lives->voluntary);
}

Test(ends, who_goes_on_for_longer_than_before_has_not_obeyed)
{
    signalled(2, 3);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 0);
}

Test(ends, the_signal_that_is_obeyed_counts)
{
    feed.lives->source.end = 1000 * 1000 * MS;
    feed_wait(&feed, 600 * 1000 * MS);
    feed_event(&feed, STRAY_SIGNAL, 0, STRAY_SIGNAL_CAUGHT, 15, 0);
    feed_connect(&feed, 3, 5, 1);
    feed_wait(&feed, 390 * 1000 * MS);
    feed_event(&feed, STRAY_SIGNAL, 0, STRAY_SIGNAL_CAUGHT, 15, 0);
    feed_close(&feed, 3, BY_CLOSE);
    feed_finish(&feed);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 1);
}

Test(ends, a_signal_to_oneself_is_the_end_unless_survived)
{
    feed_event(&feed, STRAY_SIGNAL, 0, STRAY_SIGNAL_DEADLY, 6, 0);
    feed_event(&feed, STRAY_SIGNAL, 0, STRAY_SIGNAL_SURVIVED, 6, 0);
    feed_event(&feed, STRAY_SIGNAL, 0, STRAY_SIGNAL_DEADLY, 11, 0);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->deadly, 11);
}

Test(ends, a_deadly_signal_does_not_wait)
{
    feed_event(&feed, STRAY_SIGNAL, 0, STRAY_SIGNAL_DEADLY, 6, 0);
    feed_wait(&feed, 2000 * MS);
    feed_connect(&feed, 3, 5, 1);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->deadly, 0);
}

/* ---- threads and children ---- */

Test(ends, an_id_may_come_again_before_its_thread_was_joined)
{
    feed_event(&feed, STRAY_OPEN, STRAY_THREAD, 77, 1, 1);
    feed_event(&feed, STRAY_EXITED, STRAY_THREAD, 77, 1, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_THREAD, 77, 2, 1);
    feed_expect(&feed, STRAY_THREAD, 2, 0, 2);
    feed_event(&feed, STRAY_CLOSE, STRAY_THREAD, 77, 1, 0);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_THREAD, 2, 1, 1);
    cr_expect_eq(feed.lives->sites[0].ended, 0);
}

Test(ends, what_has_ended_and_stays_is_counted)
{
    for (unsigned pid = 10; pid < 16; pid++) {
        feed_event(&feed, STRAY_OPEN, STRAY_CHILD, pid, 0, 1);
        feed_event(&feed, STRAY_EXITED, STRAY_CHILD, pid, 0, 0);
    }
    feed_event(&feed, STRAY_CLOSE, STRAY_CHILD, 10, 0, 0);
    feed_event(&feed, STRAY_RECONCILED, STRAY_CHILD, 11, 0, 0);
    feed_event(&feed, STRAY_RECONCILED, STRAY_CHILD, 11, 0, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_CHILD, 20, 0, 1);
    feed_exit(&feed);
    feed_event(&feed, STRAY_EXITED, STRAY_CHILD, 20, 0, 0);
    feed_event(&feed, STRAY_CLOSE, STRAY_CHILD, 15, 9, 0); /* an exit handler waits for it */
    feed_finish(&feed);
    feed_expect(&feed, STRAY_CHILD, 7, 3, 4);
    cr_expect_eq(feed.lives->books[STRAY_CHILD].unknown, 0);
    cr_expect_eq(feed.lives->sites[0].ended, 4);
    cr_expect_eq(feed.lives->sites[0].overtaken, 4);
    cr_expect_eq(feed.lives->books[STRAY_CHILD].bytes_open, 0);
    cr_assert_eq(feed.lives->death_count, 2);
    cr_expect(feed.lives->deaths[1].pid == 15 && feed.lives->deaths[1].status == 9);
}

Test(ends, without_an_end_the_last_event_is_it)
{
    feed_connect(&feed, 3, 5, 1);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->tc, feed.now);
    cr_expect_eq(feed.lives->ending, ENDING_UNSEEN);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 1);
}

Test(ends, an_exec_is_the_end)
{
    feed_event(&feed, STRAY_EXEC, 0, 0, 0, 0);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->ending, ENDING_EXEC);
}

Test(ends, a_failed_exec_is_not)
{
    feed_event(&feed, STRAY_EXEC, 0, 0, 0, 0);
    feed_event(&feed, STRAY_EXEC_FAILED, 0, 0, 0, 0);
    feed_event(&feed, STRAY_END, 0, 127, STRAY_ENDING_QUICK, 0);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->ending, ENDING_EXIT);
    cr_expect_eq(feed.lives->exit_status, 127);
}

Test(ends, closers_are_told_apart)
{
    static const uint32_t stacks[] = {BY_CLOSE, BY_DESTRUCTOR, BY_COLLECTOR};
    for (size_t i = 0; i < 3; i++) {
        feed_connect(&feed, 3, 5, 1);
        feed_close(&feed, 3, stacks[i]);
    }
    feed_finish(&feed);
    cr_expect_eq(feed.lives->lives[0].closer, CLOSER_EXPLICIT);
    cr_expect_eq(feed.lives->lives[1].closer, CLOSER_DESTRUCTOR);
    cr_expect_eq(feed.lives->lives[2].closer, CLOSER_COLLECTOR);
    cr_expect_eq(feed.lives->peers[0].closed_by_finalizer, 2);
}

Test(ends, the_youngest_may_be_waited_for_yet)
{
    for (unsigned pid = 10; pid < 16; pid++) {
        feed_event(&feed, STRAY_OPEN, STRAY_CHILD, pid, 0, 1);
        feed_wait(&feed, 10 * MS);
        feed_event(&feed, STRAY_EXITED, STRAY_CHILD, pid, 0, 0);
    }
    feed_event(&feed, STRAY_CLOSE, STRAY_CHILD, 13, 0, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    cr_expect_eq(feed_site(&feed, STRAY_CHILD, 1)->ended, 5);
    cr_expect_eq(feed_site(&feed, STRAY_CHILD, 1)->in_turn, 2, "those made after the one that was waited for");
}

/* One child has long ended when the process is left, the other one just so. */
static uint64_t ended_before(void (*leave)(struct feed *))
{
    for (unsigned pid = 10; pid < 12; pid++) {
        feed_event(&feed, STRAY_OPEN, STRAY_CHILD, pid, 0, 1);
        feed_event(&feed, STRAY_EXITED, STRAY_CHILD, pid, 0, 0);
        feed_wait(&feed, pid == 10 ? 5000 * MS : 100 * MS);
    }
    leave(&feed);
    feed_finish(&feed);
    return feed_site(&feed, STRAY_CHILD, 1)->ended;
}

static void detach(struct feed *tracing)
{
    feed_event(tracing, STRAY_END, 0, 0, STRAY_ENDING_DETACH, 0);
}

Test(ends, who_is_left_amid_its_work_may_be_about_to_wait)
{
    cr_expect_eq(ended_before(detach), 1);
}

Test(ends, who_ends_by_itself_will_not_wait_any_more)
{
    cr_expect_eq(ended_before(feed_exit), 2);
}

/* ---- an interpreter that waits for its threads ---- */

static void end_threads(unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        feed_event(&feed, STRAY_CLOSE, STRAY_THREAD, first + i, first + i, 0);
}

static void begin_threads(unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        feed_event(&feed, STRAY_OPEN, STRAY_THREAD, first + i, first + i, 1);
}

Test(ends, threads_that_are_told_to_end_at_the_exit_were_open)
{
    begin_threads(1, 10);
    end_threads(1, 2);
    feed_event(&feed, STRAY_END_AWAITED, 0, 0, STRAY_ENDING_PYTHON, 0);
    uint64_t awaited = feed.now;
    end_threads(3, 8);
    feed_expect(&feed, STRAY_THREAD, 10, 2, 8);
    feed_event(&feed, STRAY_END_BEGINS, 0, 0, STRAY_ENDING_PYTHON, 0);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_THREAD, 10, 10, 0);
    cr_expect_eq(feed_site(&feed, STRAY_THREAD, 1)->alive, 8);
    cr_expect(feed.lives->tc > awaited && feed.lives->tc <= awaited + 1000, "when the first of them ended");
    cr_expect_eq(feed.lives->strange, 0);
}

Test(ends, threads_that_do_all_the_work_end_in_time)
{
    feed_event(&feed, STRAY_END_AWAITED, 0, 0, STRAY_ENDING_PYTHON, 0);
    for (unsigned i = 0; i < 100; i++) {
        begin_threads(1 + i, 1);
        end_threads(1 + i, 1);
    }
    feed_event(&feed, STRAY_END_BEGINS, 0, 0, STRAY_ENDING_PYTHON, 0);
    feed_finish(&feed);
    cr_expect_eq(feed_site(&feed, STRAY_THREAD, 1)->alive, 1, "of the last one nobody knows");
}

/* A service whose first thread does nothing but wait for the others. */
Test(ends, threads_that_end_while_work_goes_on_have_ended)
{
    feed_event(&feed, STRAY_END_AWAITED, 0, 0, STRAY_ENDING_PYTHON, 0);
    begin_threads(7, 2);
    for (feed.thread = 7; feed.thread < 9; feed.thread++) {
        feed_connect(&feed, feed.thread, 1, 2);
        end_threads(feed.thread, 1);
    }
    feed_event(&feed, STRAY_END_BEGINS, 0, 0, STRAY_ENDING_PYTHON, 0);
    feed_finish(&feed);
    cr_assert_eq(feed.lives->life_count, 2);
    cr_expect_gt(life_thread_end(feed.lives, &feed.lives->lives[0]), feed.lives->lives[0].birth);
    cr_expect_neq(life_thread_end(feed.lives, &feed.lives->lives[0]), UINT64_MAX);
    cr_expect_eq(life_thread_end(feed.lives, &feed.lives->lives[1]), UINT64_MAX, "it may have been told to end");
}

Test(ends, what_the_exit_opens_is_no_work)
{
    begin_threads(1, 5);
    feed_event(&feed, STRAY_END_AWAITED, 0, 0, STRAY_ENDING_PYTHON, 0);
    end_threads(1, 5);
    feed_event(&feed, STRAY_OPEN, STRAY_FILE, 9, 0, BY_EXIT);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 10, 2);
    feed_finish(&feed);
    cr_expect_eq(feed_site(&feed, STRAY_THREAD, 1)->alive, 5);
}

Test(ends, an_exit_handler_that_waits_begins_the_end)
{
    feed_event(&feed, STRAY_OPEN, STRAY_CHILD, 10, 0, 1);
    feed_event(&feed, STRAY_OPEN, STRAY_THREAD, 7, 1, 1);
    feed_event(&feed, STRAY_CLOSE, STRAY_CHILD, 10, 0, BY_EXIT);
    feed_event(&feed, STRAY_CLOSE, STRAY_THREAD, 7, 1, 0);
    feed_finish(&feed);
    cr_expect_eq(feed_site(&feed, STRAY_CHILD, 1)->alive, 1);
    cr_expect_eq(feed_site(&feed, STRAY_THREAD, 1)->alive, 1);
    feed_expect(&feed, STRAY_CHILD, 1, 1, 0);
}

Test(ends, an_exit_handler_long_before_the_end_is_none)
{
    feed.lives->source.end = 1000 * 1000 * MS;
    feed_event(&feed, STRAY_OPEN, STRAY_CHILD, 10, 0, 1);
    feed_event(&feed, STRAY_OPEN, STRAY_CHILD, 11, 0, 1);
    feed_event(&feed, STRAY_CLOSE, STRAY_CHILD, 10, 0, BY_EXIT);
    feed_wait(&feed, 900 * 1000 * MS);
    feed_event(&feed, STRAY_CLOSE, STRAY_CHILD, 11, 0, BY_CLOSE);
    feed_finish(&feed);
    cr_expect_eq(feed_site(&feed, STRAY_CHILD, 1)->alive, 0);
}
