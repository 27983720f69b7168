/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Leaks and what looks like leaks, each as a program would leave it. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "verdicts/connections.h"

#define MOST 400

static struct usage usages[MOST];
static bool marks[MOST];
static struct usage_figures figures;
static struct usage_judgement judgement;

static void begin(void)
{
    memset(usages, 0, sizeof(usages));
    figures =
        (struct usage_figures){.usage = usages, .exits = true, .connection = true, .work_is_load = true};
}

TestSuite(connections, .init = begin);

/* Born at `birth`, last used at `last_use`, closed at `end` (0: never). */
static struct usage *add(double birth, double last_use, double end)
{
    cr_assert(figures.count < MOST);
    struct usage *usage = &usages[figures.count++];
    *usage = (struct usage){.birth = birth,
                            .last_use = last_use,
                            .end = end,
                            .open = end == 0,
                            .uses = 1,
                            .used_known = true,
                            .thread = 1,
                            .next_s = INFINITY,
                            .by_ender = true,
                            .work = birth * 100};
    return usage;
}

static enum verdict judge_at(double tc)
{
    figures.tc = tc;
    figures.work = tc * 100;
    cr_assert_eq(usage_judge_open(&figures, &judgement, marks), 0);
    return judgement.verdict;
}

static void expect_leaked(double tc, uint64_t count)
{
    cr_expect_eq(judge_at(tc), VERDICT_LEAKED, "not leaked but %s", verdict_name(judgement.verdict));
    cr_expect_eq(judgement.count, count, "%u, not %u", (unsigned)judgement.count, (unsigned)count);
    cr_expect_eq(judgement.severity, SEVERITY_ERROR);
    uint64_t marked = 0;
    for (size_t i = 0; i < figures.count; i++)
        marked += marks[i];
    cr_expect_eq(marked, count);
}

static void expect_harmless(double tc, enum verdict verdict)
{
    cr_expect_eq(judge_at(tc), verdict, "not %s but %s, %u", verdict_name(verdict),
                 verdict_name(judgement.verdict), (unsigned)judgement.count);
    cr_expect_geq(judgement.severity, SEVERITY_NOTE);
}

static void add_loop(int count, double every, double busy)
{
    for (int i = 0; i < count; i++)
        add(1 + i * every, 1 + i * every + busy, 0);
}

static void forget_uses(void)
{
    for (size_t i = 0; i < figures.count; i++) {
        usages[i].used_known = false;
        usages[i].uses = 0;
    }
}

/* ---- leaks ---- */

Test(connections, a_loop_that_never_closes)
{
    add_loop(20, 0.01, 0.005);
    expect_leaked(1.2, 20);
    cr_expect_eq(judgement.confidence, CONFIDENCE_HIGH);
    cr_expect_float_eq(judgement.never_released.low, 0.839, 0.001);
}

Test(connections, five_are_enough)
{
    add_loop(5, 0.01, 0.002);
    expect_leaked(1.05, 5);
}

Test(connections, four_that_are_never_closed_may_be_anything)
{
    add_loop(4, 0.01, 0.002);
    expect_harmless(1.05, VERDICT_OPEN_AT_EXIT);
}

Test(connections, one_in_four)
{
    for (int i = 0; i < 40; i++)
        add(1 + i * 0.01, 1 + i * 0.01 + 0.003, i % 4 ? 1 + i * 0.01 + 0.004 : 0);
    expect_leaked(1.4, 10);
}

Test(connections, one_in_four_the_last_among_them)
{
    for (int i = 0; i < 40; i++)
        add(1 + i * 0.01, 1 + i * 0.01 + 0.003, i % 4 != 3 ? 1 + i * 0.01 + 0.004 : 0);
    expect_leaked(1.394, 10);
}

Test(connections, one_in_four_by_four_threads)
{
    figures.exits = false;
    for (int i = 0; i < 160; i++) {
        double birth = 1 + i * 0.01;
        struct usage *usage = add(birth, birth + 0.03, i % 16 ? birth + 0.035 : 0);
        usage->thread = 1 + i % 4;
        usage->by_ender = false;
    }
    expect_leaked(3, 10);
}

Test(connections, three_where_all_others_are_closed)
{
    for (int i = 0; i < 100; i++)
        add(1 + i * 0.05, 1 + i * 0.05 + 0.003, i == 20 || i == 50 || i == 70 ? 0 : 1 + i * 0.05 + 0.004);
    expect_leaked(7, 3);
}

Test(connections, threads_that_went_on_to_something_else)
{
    figures.exits = false;
    for (int i = 0; i < 40; i++) {
        double birth = 1 + i * 0.05;
        struct usage *usage = add(birth, birth + 0.04, i % 4 != 3 ? birth + 0.045 : 0);
        usage->thread = 1 + i % 3;
        usage->by_ender = false;
        usage->next_s = birth + 0.06;
    }
    expect_leaked(3.02, 10);
}

Test(connections, an_event_loop_that_closes_most)
{
    figures.exits = false;
    for (int i = 0; i < 200; i++) {
        double birth = 1 + i * 0.01;
        add(birth, birth + 0.06, i % 20 == 7 ? 0 : birth + 0.08)->by_ender = false;
    }
    expect_leaked(4, 10);
}

Test(connections, a_service_of_many_threads)
{
    figures.exits = false;
    for (int i = 0; i < 93; i++) {
        struct usage *usage = add(i * 300, i * 300 + 0.02, 0);
        usage->thread = 1 + i % 8;
        usage->by_ender = false;
    }
    expect_leaked(28800, 93);
    cr_expect_float_eq(judgement.per_second.estimate * 3600, 11.6, 0.1);
}

Test(connections, threads_that_leak_at_once)
{
    figures.exits = false;
    for (int i = 0; i < 40; i++) {
        struct usage *usage = add(1 + (i / 4) * 0.02 + (i % 4) * 0.001, 1 + (i / 4) * 0.02 + 0.015, 0);
        usage->thread = 1 + i % 4;
        usage->by_ender = false;
    }
    expect_leaked(1.2, 40);
}

Test(connections, a_loop_then_a_long_wait)
{
    add_loop(20, 0.01, 0.005);
    for (size_t i = 0; i < figures.count; i++)
        usages[i].work = (double)i;
    figures.tc = 6;
    figures.work = 20;
    cr_assert_eq(usage_judge_open(&figures, &judgement, marks), 0);
    cr_expect_eq(judgement.verdict, VERDICT_LEAKED);
    cr_expect_eq(judgement.count, 20);
}

Test(connections, sockets_of_which_no_use_is_known)
{
    figures.work_is_load = false;
    add_loop(12, 0.01, 0);
    forget_uses();
    expect_leaked(1.13, 12);
}

Test(connections, checked_out_and_never_used)
{
    figures.work_is_load = false;
    add_loop(30, 0.004, 0);
    forget_uses();
    expect_leaked(1.125, 30);
}

Test(connections, attempts_that_failed_and_were_kept)
{
    for (int i = 0; i < 6; i++)
        add(1 + i * 0.1, 1 + i * 0.1, i < 3 ? 1.05 + i * 0.1 : 0)->failed = true;
    expect_leaked(2, 3);
}

Test(connections, accepted_ones_whose_client_hung_up)
{
    for (int i = 0; i < 30; i++) {
        struct usage *usage = add(1 + i, 1.1 + i, i % 3 ? 1.2 + i : 0);
        usage->server = true;
        usage->close_wait = usage->open;
    }
    expect_leaked(100, 10);
}

Test(connections, accepted_ones_in_a_run_too_short_for_samples)
{
    for (int i = 0; i < 40; i++) {
        struct usage *usage = add(1 + i * 0.001, 1 + i * 0.001, i % 4 ? 1.0005 + i * 0.001 : 0);
        usage->server = true;
        usage->used_known = false;
    }
    expect_leaked(1.05, 10);
}

Test(connections, a_burst_followed_by_other_work)
{
    add_loop(5, 0.01, 0.005);
    expect_leaked(20, 5);
    figures.count = 0;
    add_loop(7, 0.01, 0.005);
    figures.work_is_load = false;
    expect_leaked(20, 7);
}

Test(connections, a_burst_of_many_threads)
{
    for (int i = 0; i < 10; i++)
        add(1 + i * 0.01, 1 + i * 0.01 + 0.005, 0)->thread = (uint32_t)i + 2;
    expect_leaked(20, 10);
}

/* Threads with one of their own each, which they use every 50 ms, of the same helper as requests that close theirs, but for one in eight. */
Test(connections, members_at_work_do_not_go_with_the_leaks_of_a_helper)
{
    for (int i = 0; i < 30; i++) {
        struct usage *usage = add(0.001 * i, 19.95 + 0.0015 * i, 0);
        usage->uses = 400;
        usage->quiet_s = 0.052;
        usage->thread = 2 + (uint32_t)i;
        usage->by_ender = false;
    }
    for (int i = 1; i <= 180; i++) {
        double birth = 0.1 + 0.11 * i;
        struct usage *usage = add(birth, birth + 0.006, i % 8 ? birth + 0.007 : 0);
        usage->uses = 3;
        usage->quiet_s = 0.002;
    }
    expect_leaked(20, 22);
    cr_expect_not(memchr(marks, true, 30 * sizeof(*marks)), "a member is counted");
}

Test(connections, leaks_of_a_helper_that_serves_a_singleton_as_well)
{
    add(0.5, 9.9, 0)->uses = 500;
    add_loop(20, 0.4, 0.01);
    expect_leaked(10, 20);
}

Test(connections, leaks_of_threads_whose_work_varies)
{
    for (int i = 0; i < 30; i++) {
        struct usage *usage = add(1 + i * 0.01, 1 + i * 0.01 + (i % 5 ? 0.01 : 0.16), 0);
        usage->uses = i % 5 ? 1 : 20;
        usage->thread = (uint32_t)(i % 6) + 2;
    }
    expect_leaked(1.5, 30);
}

/* ---- what is none ---- */

Test(connections, what_each_thread_keeps_for_itself)
{
    figures.exits = false;
    for (int i = 0; i < 6; i++)
        add(1 + i * 0.01, 1 + i * 0.01 + 0.005, 0)->thread = (uint32_t)i + 2;
    expect_harmless(20, VERDICT_STATIC);
}

/* A run so short that the scheduler stretches it: `stall` seconds lie before the second half of `count` that are opened
 * and never used, `wait` seconds behind them, and `work` allocations that a mark told late. */
static enum verdict judge_brief(int count, double stall, double wait, double work)
{
    begin();
    figures.work_is_load = figures.connection = false;
    for (int i = 0; i < count; i++) {
        struct usage *usage = add(1 + i * 0.0001 + (2 * i < count ? 0 : stall), 0, 0);
        usage->work = 1000;
        usage->work_by = 1020;
    }
    forget_uses();
    figures.tc = usages[count - 1].birth + wait;
    figures.work = 1020 + work;
    cr_assert_eq(usage_judge_open(&figures, &judgement, marks), 0);
    return judgement.verdict;
}

Test(connections, stalls_in_a_short_run)
{
    for (double wait = 0.001; wait < 0.5; wait *= 2) {
        for (double stall = 0; stall < 0.4; stall += 0.05) {
            cr_expect_eq(judge_brief(80, stall, wait, 0), VERDICT_LEAKED, "%g %g", stall, wait);
            cr_expect_eq(judge_brief(80, stall, wait, 100), VERDICT_LEAKED, "%g %g", stall, wait);
            cr_expect_eq(judge_brief(20, stall, wait, 2000), VERDICT_STATIC, "%g %g", stall, wait);
        }
    }
}

Test(connections, a_pool_that_hands_out_the_last)
{
    figures.exits = false;
    for (int i = 0; i < 5; i++) {
        struct usage *usage = add(1 + i * 0.1, 1 + i * 0.1 + (i < 4 ? 0.05 : 0.7), 0);
        usage->uses = i < 4 ? 1 : 8;
        usage->work = i;
    }
    expect_harmless(2.1, VERDICT_STEADY);
}

Test(connections, a_pool_filled_by_a_rush_then_used_by_one)
{
    figures.exits = false;
    figures.work_is_load = false;
    for (int i = 0; i < 8; i++) {
        struct usage *usage = add(1 + i * 0.001, i == 3 ? 3 : 1.01, 0);
        usage->uses = i == 3 ? 150 : 1;
        usage->thread = i == 3 ? 1 : (uint32_t)i + 2;
        usage->error_s = 0.01;
        usage->work = i * 20;
    }
    expect_harmless(3.01, VERDICT_STEADY);
}

Test(connections, a_pool_that_took_long_to_fill)
{
    for (int i = 0; i < 5; i++) {
        struct usage *usage = add(1 + i * 0.1, i < 4 ? 1 + i * 0.1 : 1.6, 0);
        usage->uses = i < 4 ? 0 : 300;
        usage->work = 0;
    }
    expect_harmless(1.61, VERDICT_OPEN_AT_EXIT);
}

Test(connections, accepted_ones_that_other_threads_serve)
{
    figures.exits = false;
    for (int i = 0; i < 40; i++) {
        struct usage *usage = add(1 + i * 0.001, 1 + i * 0.001, i % 4 ? 1.0005 + i * 0.001 : 0);
        usage->server = true;
        usage->handed_on = true;
        usage->used_known = false;
    }
    expect_harmless(1.05, VERDICT_STEADY);
}

Test(connections, the_correct_twin)
{
    for (int i = 0; i < 40; i++)
        add(1 + i * 0.01, 1 + i * 0.01 + 0.003, 1 + i * 0.01 + 0.004);
    expect_harmless(2, VERDICT_STEADY);
    cr_expect_eq(judgement.severity, SEVERITY_NONE);
}

Test(connections, a_pool_in_use)
{
    for (int i = 0; i < 5; i++)
        add(1 + i * 0.01, 9.9 + i * 0.01, 0)->uses = 200;
    expect_harmless(10, VERDICT_OPEN_AT_EXIT);
    cr_expect_eq(judgement.severity, SEVERITY_NOTE);
    figures.exits = false;
    expect_harmless(10, VERDICT_PLATEAU);
}

Test(connections, a_short_lived_pool_in_use)
{
    figures.exits = false;
    for (int i = 0; i < 5; i++)
        add(1 + i * 0.01, 1.06 + i * 0.001, 0)->work = 0;
    expect_harmless(1.07, VERDICT_STEADY);
}

Test(connections, a_pool_of_which_one_is_used)
{
    for (int i = 0; i < 5; i++) {
        struct usage *usage = add(1 + i * 0.01, i ? 1 + i * 0.01 : 1.9, 0);
        usage->uses = i ? 0 : 100;
        usage->work = 0;
    }
    expect_harmless(2, VERDICT_OPEN_AT_EXIT);
}

Test(connections, a_pool_filled_at_once_and_hardly_used)
{
    figures.exits = false;
    for (int i = 0; i < 10; i++)
        add(1 + i * 0.001, 1.05, 0)->uses = 2;
    expect_harmless(60, VERDICT_STEADY);
}

Test(connections, a_pool_that_grew_in_a_peak)
{
    figures.exits = false;
    for (int i = 0; i < 10; i++)
        add(10 + i * 0.02, 14 + (i % 3) * 0.1, 0)->uses = 20;
    usages[0].last_use = usages[1].last_use = 99;
    expect_harmless(100, VERDICT_PLATEAU);
}

Test(connections, a_pool_that_grows_with_need)
{
    for (int i = 0; i < 6; i++)
        add(1 + i * 1.5, 9.8 + i * 0.01, 0)->uses = 50;
    expect_harmless(10, VERDICT_OPEN_AT_EXIT);
}

Test(connections, a_pool_that_renews_its_members)
{
    figures.exits = false;
    for (int i = 0; i < 100; i++) {
        double birth = i * 12, end = birth + 60;
        struct usage *usage = add(birth, end < 1200 ? end : 1199.5, end < 1195 ? end : 0);
        usage->uses = 300;
        usage->by_ender = false;
    }
    expect_harmless(1200, VERDICT_PLATEAU);
}

/* A proxy's connections to the server behind it: what comes back finds the pool full and is closed, but for the last four. */
Test(connections, a_pool_that_keeps_few_and_closes_the_others)
{
    for (int i = 0; i < 300; i++) {
        double birth = 1 + i * 0.006, end = birth + 0.01 + (i % 7) * 0.002;
        add(birth, end - 0.001, i < 296 ? end : 0);
    }
    for (size_t i = 296; i < 300; i++)
        usages[i].last_use = 2.81; /* the last births were amid these */
    expect_harmless(6, VERDICT_OPEN_AT_EXIT);
    figures.exits = false;
    expect_harmless(6, VERDICT_STEADY);
    usages[120].open = usages[180].open = usages[240].open = true; /* these were silent while others came */
    expect_leaked(6, 7);
}

Test(connections, a_singleton)
{
    add(1, 1.01, 0);
    expect_harmless(100, VERDICT_OPEN_AT_EXIT);
    figures.exits = false;
    expect_harmless(100, VERDICT_FEW);
}

Test(connections, those_in_flight_when_a_signal_came)
{
    figures.exits = false;
    for (int i = 0; i < 200; i++) {
        double birth = 1 + i * 0.01;
        add(birth, birth + 0.035 < 3 ? birth + 0.035 : 2.999, birth + 0.04 < 3 ? birth + 0.04 : 0)->by_ender =
            false;
    }
    expect_harmless(3, VERDICT_STEADY);
}

Test(connections, clients_that_keep_their_connection)
{
    figures.exits = false;
    for (int i = 0; i < 50; i++)
        add(1 + i, 1.1 + i, 0)->server = true;
    expect_harmless(1000, VERDICT_STEADY);
}

Test(connections, descriptors_that_are_no_connections_are_not_open_at_exit)
{
    figures.connection = false;
    add(1, 1, 0);
    expect_harmless(2, VERDICT_FEW);
}

/* ---- finalizers, churn, hung up ---- */

/* Files that are opened when needed, read once, and kept in case; some are closed at once. */
static void add_cache(int count, int busy_every)
{
    for (int i = 0; i < count; i++) {
        double birth = 1 + i * 0.1;
        bool busy = i % busy_every == 1;
        add(birth, busy ? 9.9 : birth + 0.001, i % 6 ? 0 : birth + 0.002)->uses = busy ? 90 : 2;
    }
}

Test(connections, a_cache_of_open_files_is_kept_for_those_in_use)
{
    figures.connection = false;
    add_cache(60, 10);
    expect_harmless(10, VERDICT_STEADY);
}

Test(connections, files_one_of_which_is_a_log_are_no_cache)
{
    figures.connection = false;
    add_cache(60, 60);
    cr_expect_eq(judge_at(10), VERDICT_LEAKED);
}

Test(connections, files_read_to_their_ends_and_forgotten_are_no_cache)
{
    figures.connection = false;
    add_loop(40, 0.1, 0.05);
    for (int i = 0; i < 40; i += 5)
        usages[i].uses = 500;
    expect_leaked(6, 40);
}

Test(connections, files_of_the_last_moments_are_the_ends_own)
{
    figures.connection = false;
    for (int i = 0; i < 20; i++)
        add(1 + i, 1.1 + i, 1.2 + i);
    for (int i = 0; i < 40; i++)
        add(99 + i * 0.01, 99 + i * 0.01, 0);
    expect_harmless(99.9, VERDICT_STEADY);
    figures.connection = true;
    cr_expect_eq(judge_at(99.9), VERDICT_LEAKED);
}

Test(connections, left_to_finalizers)
{
    for (int i = 0; i < 40; i++)
        add(1 + i, 1.1 + i, 1.2 + i)->finalizer = i % 4 == 0;
    figures.tc = 100;
    cr_expect(usage_judge_finalizers(&figures, &judgement));
    cr_expect_eq(judgement.count, 10);
    cr_expect_float_eq(judgement.share, 0.25, 1e-9);
    usages[0].finalizer = false;
    cr_expect_not(usage_judge_finalizers(&figures, &judgement));
}

Test(connections, failed_attempts_are_not_left_to_finalizers)
{
    for (int i = 0; i < 12; i++) {
        struct usage *usage = add(1 + i, 1.1 + i, 1.2 + i);
        usage->finalizer = usage->failed = true;
    }
    figures.tc = 100;
    cr_expect_not(usage_judge_finalizers(&figures, &judgement));
}

Test(connections, a_connection_for_each_use)
{
    for (int i = 0; i < 120; i++)
        add(1 + i * 0.01, 1 + i * 0.01 + 0.003, 1 + i * 0.01 + 0.005)->connect_s = 0.004;
    figures.tc = 2.2;
    figures.work = 130;
    cr_expect(usage_judge_churn(&figures, &judgement));
    cr_expect_eq(judgement.count, 120);
    cr_expect_eq(judgement.severity, SEVERITY_WARNING);
    for (int i = 0; i < 120; i++)
        usages[i].connect_s = 0.0001;
    cr_expect(usage_judge_churn(&figures, &judgement));
    cr_expect_eq(judgement.severity, SEVERITY_NOTE);
}

Test(connections, connections_that_are_worth_their_while)
{
    for (int i = 0; i < 120; i++)
        add(1 + i * 0.01, 1 + i * 0.01 + 0.003, 1 + i * 0.01 + 0.005)->uses = 30;
    figures.tc = 2.2;
    figures.work = 3600;
    cr_expect_not(usage_judge_churn(&figures, &judgement));
}

Test(connections, a_few_are_no_churn)
{
    for (int i = 0; i < 15; i++)
        add(1 + i * 0.01, 1 + i * 0.01 + 0.003, 1 + i * 0.01 + 0.005);
    figures.tc = 2.2;
    cr_expect_not(usage_judge_churn(&figures, &judgement));
}

Test(connections, hung_up_on)
{
    for (int i = 0; i < 12; i++) {
        struct usage *usage = add(1 + i * 0.001, 1, 0);
        usage->close_wait = 4;
        usage->close_wait_s = 3;
    }
    figures.tc = 5;
    cr_expect(usage_judge_close_wait(&figures, &judgement));
    cr_expect_eq(judgement.count, 12);
    cr_expect_eq(judgement.confidence, CONFIDENCE_HIGH);
}

Test(connections, hung_up_on_in_a_run_too_short_for_samples)
{
    for (int i = 0; i < 3; i++)
        add(1 + i * 0.001, 1, 0)->close_wait = 1;
    figures.tc = 5;
    cr_expect(usage_judge_close_wait(&figures, &judgement));
    cr_expect_eq(judgement.count, 3);
    cr_expect_eq(judgement.confidence, CONFIDENCE_MEDIUM);
}

Test(connections, the_peer_closed_just_before_the_end)
{
    for (int i = 0; i < 12; i++)
        add(1 + i * 0.001, 4.9, 0)->close_wait = 1;
    figures.tc = 5;
    cr_expect_not(usage_judge_close_wait(&figures, &judgement));
}

Test(connections, two_that_wait_at_the_end_may_be_noticed_yet)
{
    for (int i = 0; i < 2; i++)
        add(1 + i * 0.001, 1, 0)->close_wait = 1;
    figures.tc = 5;
    cr_expect_not(usage_judge_close_wait(&figures, &judgement));
    usages[0].close_wait = 60;
    usages[0].close_wait_s = 60;
    figures.tc = 1000;
    cr_expect(usage_judge_close_wait(&figures, &judgement));
    cr_expect_eq(judgement.count, 1);
}

/* Requests on threads of their own, killed amid the work: what the youngest was left by is known, though it is not old. */
Test(connections, those_whose_thread_has_ended_go_with_the_others)
{
    for (unsigned i = 0; i < 40; i++) {
        double birth = 1 + 0.1 * i;
        struct usage *usage = add(birth, birth + 0.05, i % 2 ? birth + 0.06 : 0);
        usage->thread = 1 + i;
        usage->by_ender = false;
        usage->quiet_s = 0.2;
    }
    figures.exits = false;
    expect_leaked(5, 17);
    for (unsigned i = 0; i < 38; i += 2)
        usages[i].deserted = true;
    expect_leaked(5, 19);
}
