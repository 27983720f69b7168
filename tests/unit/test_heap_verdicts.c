/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Blocks that leak, and blocks that only stay: each scenario as births and deaths on an even axis. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "verdicts/heap.h"

#define BUCKETS 160
#define MOST    20000

static uint32_t by_work[COHORT_WINDOWS], by_time[COHORT_WINDOWS], released[BUCKETS], surviving[BUCKETS];
static double window_end[COHORT_WINDOWS], bucket_age[BUCKETS + 1];
static double low[COHORT_WINDOWS], low_bytes[COHORT_WINDOWS], work[COHORT_WINDOWS];
static struct heap_figures figures;

/* A run of 1000 s in which work goes evenly with time. */
static void begin(void)
{
    memset(by_work, 0, sizeof(by_work));
    memset(by_time, 0, sizeof(by_time));
    memset(released, 0, sizeof(released));
    memset(surviving, 0, sizeof(surviving));
    for (int i = 0; i < COHORT_WINDOWS; i++) {
        window_end[i] = 1000.0 * (i + 1) / COHORT_WINDOWS;
        work[i] = i + 1;
        low[i] = low_bytes[i] = 0;
    }
    for (int i = 0; i <= BUCKETS; i++)
        bucket_age[i] = 1e-6 * exp2(i / 4.0);
    figures = (struct heap_figures){.few = 30,
                                    .tc = 1000,
                                    .work_is_load = true,
                                    .by_work = by_work,
                                    .by_time = by_time,
                                    .window_end = window_end,
                                    .window_work = 1,
                                    .ages = {released, surviving, bucket_age, BUCKETS, 1},
                                    .levels = {low, low_bytes, work, window_end, COHORT_WINDOWS}};
}

TestSuite(heap_verdicts, .init = begin);

static unsigned bucket(double age)
{
    return age > 1e-6 ? (unsigned)fmin(BUCKETS - 1, 4 * log2(age * 1e6)) : 0;
}

/* Open all through a window: only that raises its low. */
static void raise(double birth, double death, uint64_t size)
{
    for (int i = 0; i < COHORT_WINDOWS; i++)
        if (birth <= (i ? window_end[i - 1] : 0) && (death == 0 || death > window_end[i])) {
            low[i]++;
            low_bytes[i] += (double)size;
        }
}

/* A block of `size` bytes; death 0: it lives on. */
static void block(double birth, double death, uint64_t size)
{
    figures.opened++;
    raise(birth, death, size);
    if (death > 0 && death <= figures.tc) {
        figures.closed++;
        released[bucket(death - birth)]++;
        return;
    }
    unsigned window = (unsigned)fmin(COHORT_WINDOWS - 1, birth / 1000 * COHORT_WINDOWS);
    figures.alive++;
    figures.alive_bytes += size;
    figures.warm += birth <= 100;
    by_work[window]++;
    by_time[window]++;
    surviving[bucket(figures.tc - birth)]++;
}

static void expect(enum verdict verdict)
{
    if (figures.peak < figures.alive)
        figures.peak = figures.alive;
    struct heap_judgement judgement = heap_judge(&figures);
    cr_expect_eq(judgement.verdict, verdict, "not %s but %s: G %.2f, p %.2f (%.2f), h %.2f",
                 verdict_name(verdict), verdict_name(judgement.verdict), judgement.cohorts.generations,
                 judgement.cohorts.order, judgement.cohorts.order_sd, judgement.hazard);
}

/* ---- leaks ---- */

Test(heap_verdicts, everything_stays)
{
    for (int i = 0; i < 200; i++)
        block(i * 5, 0, 100000);
    expect(VERDICT_LEAKED);
}

Test(heap_verdicts, one_in_a_hundred_stays)
{
    for (int i = 0; i < 10000; i++)
        block(i * 0.1, i % 100 ? i * 0.1 + 0.01 : 0, 64);
    expect(VERDICT_LEAKED);
    cr_expect_float_eq(heap_judge(&figures).never_released.estimate, 0.01, 0.003);
}

Test(heap_verdicts, it_began_after_a_while)
{
    for (int i = 0; i < 1000; i++)
        block(i, i > 300 ? 0 : i + 0.5, 64);
    expect(VERDICT_LEAKED);
}

Test(heap_verdicts, on_the_weak_axis_too)
{
    figures.work_is_load = false;
    for (int i = 0; i < 200; i++)
        block(i * 5, 0, 100000);
    expect(VERDICT_LEAKED);
}

/* The work of a short run is known only in lumps: what seems to slow down may be a lump. */
Test(heap_verdicts, in_lumps_on_the_weak_axis)
{
    for (int i = 0; i < COHORT_WINDOWS; i++)
        for (int k = 0; k < (i % 4 == 3 ? 0 : i < 24 ? 16 : 11); k++)
            block(window_end[i] - 1, 0, 1000);
    expect(VERDICT_CREEP);
    figures.work_is_load = false;
    expect(VERDICT_LEAKED);
}

/* Another process had the processor for half of the time. */
Test(heap_verdicts, a_pause_in_less_than_a_second)
{
    figures.work_is_load = false;
    for (int i = 0; i < 200; i++)
        block(i * 5, 0, 100000);
    memset(&by_time[20], 0, 36 * sizeof(*by_time));
    expect(VERDICT_PLATEAU);
    figures.tc = 0.5;
    for (int i = 0; i < COHORT_WINDOWS; i++)
        window_end[i] /= 2000;
    expect(VERDICT_LEAKED);
}

/* A process that ends by itself does something else for a moment; a cache that has filled does it for long. */
Test(heap_verdicts, a_moment_of_silence_before_the_end)
{
    figures.work_is_load = false;
    for (int i = 0; i < 200; i++)
        block(i * 5, 0, 100000);
    memset(&by_time[COHORT_WINDOWS - 5], 0, 5 * sizeof(*by_time));
    expect(VERDICT_LEAKED);
    memset(&by_time[COHORT_WINDOWS - 8], 0, 8 * sizeof(*by_time));
    expect(VERDICT_PLATEAU);
    figures.tc = 0.5;
    for (int i = 0; i < COHORT_WINDOWS; i++)
        window_end[i] /= 2000;
    expect(VERDICT_LEAKED);
}

Test(heap_verdicts, growing_like_a_root)
{
    for (int i = 1; i <= 2000; i++) {
        double birth = 1000.0 * i / 2000 * i / 2000;
        block(birth, 0, 1000);
    }
    expect(VERDICT_CREEP);
}

Test(heap_verdicts, a_cache_that_has_filled_does_not_hide_it)
{
    for (int i = 0; i < 2000; i++)
        block(110 + i * 0.05, 0, 100);
    for (int i = 0; i < 2000; i++)
        block(i * 0.5, 0, 100);
    expect(VERDICT_LEAKED);
    struct heap_judgement judgement = heap_judge(&figures);
    cr_expect_float_eq(judgement.per_second.estimate, 2, 0.1, "the leak's pace, not that of filling");
}

/* ---- no leaks ---- */

/* As a pool that is enlarged and shrunk may look: a few stay from each time, and there are ever fewer. */
Test(heap_verdicts, few_stay_while_the_number_falls)
{
    for (int i = 0; i < 40; i++)
        block(i * 2, i < 12 ? 350 + i * 50 : 0, 100000);
    for (int i = 0; i < 9; i++)
        block(110 + i * 98, 0, 100000);
    for (int i = 0; i < 20000; i++)
        block(100 + i * 0.04, 100.5 + i * 0.04, 100000);
    memset(by_work, 0, 7 * sizeof(*by_work)); /* the warm-up */
    figures.peak = 60;
    struct heap_judgement judgement = heap_judge(&figures);
    cr_expect_gt(judgement.verdict, VERDICT_CREEP, "%s", verdict_name(judgement.verdict));
}

Test(heap_verdicts, a_cache_that_fills_and_stays)
{
    for (int i = 0; i < 1000; i++)
        block(i * 0.3, 0, 1000);
    expect(VERDICT_PLATEAU);
}

Test(heap_verdicts, a_cache_that_fills_on_the_weak_axis)
{
    figures.work_is_load = false;
    for (int i = 0; i < 1000; i++)
        block(i * 0.999, 0, 1000);
    memset(by_time, 0, sizeof(by_time));
    by_time[0] = 1000;
    expect(VERDICT_PLATEAU);
}

Test(heap_verdicts, tables_that_are_loaded_at_the_start)
{
    for (int i = 0; i < 1000; i++)
        block(i * 0.05, 0, 1000);
    expect(VERDICT_STATIC);
}

Test(heap_verdicts, a_table_that_is_loaded_in_the_middle)
{
    for (int i = 0; i < 1000; i++)
        block(500 + i * 0.01, 0, 1000);
    expect(VERDICT_STEP);
}

Test(heap_verdicts, a_bounded_cache_that_turns_over)
{
    for (int i = 0; i < 5000; i++)
        block(i * 0.2, i * 0.2 + 300, 1000);
    expect(VERDICT_PLATEAU);
}

Test(heap_verdicts, what_comes_and_goes)
{
    for (int i = 0; i < 10000; i++)
        block(i * 0.1, i * 0.1 + 0.02, 1000);
    figures.peak = 3;
    expect(VERDICT_CHURN);
}

Test(heap_verdicts, released_in_batches)
{
    for (int i = 0; i < 5000; i++)
        block(i * 0.2, floor(i / 500.0) * 100 + 100, 1000);
    figures.in_runs = figures.closed;
    expect(VERDICT_DEFERRED);
}

Test(heap_verdicts, too_few_to_tell)
{
    for (int i = 0; i < 29; i++)
        block(i * 30, 0, 1 << 20);
    expect(VERDICT_FEW);
}

Test(heap_verdicts, a_load_as_the_last_thing)
{
    figures.first = 960;
    figures.from = 0.96;
    for (int i = 0; i < COHORT_WINDOWS; i++)
        window_end[i] = 960 + 40.0 * (i + 1) / COHORT_WINDOWS;
    for (int i = 0; i < 640; i++) {
        figures.opened++;
        figures.alive++;
        by_work[i / 10]++;
        by_time[i / 10]++;
        surviving[bucket(40 - i / 16.0)]++;
    }
    expect(VERDICT_PLATEAU);
}

/* 640 in the last half second of the run, with a stall, which did half of its work. */
static void brief(void)
{
    figures.work_is_load = false;
    figures.first = 999.5;
    figures.from = 0.5;
    for (int i = 0; i < COHORT_WINDOWS; i++)
        window_end[i] = 999.5 + 0.5 * (i + 1) / COHORT_WINDOWS;
    for (int i = 0; i < 640; i++) {
        figures.opened++;
        figures.alive++;
        by_work[i / 10]++;
        by_time[i / 10 / 4]++;
        surviving[bucket(0.5 - i / 1280.0)]++;
    }
}

Test(heap_verdicts, blocks_in_the_last_moment_are_a_load)
{
    brief();
    expect(VERDICT_PLATEAU);
}

Test(heap_verdicts, of_tasks_in_a_brief_run_the_work_tells)
{
    brief();
    figures.task = true;
    expect(VERDICT_LEAKED);
}

Test(heap_verdicts, tasks_that_end_together_in_a_brief_run_are_a_pool)
{
    brief();
    figures.task = true;
    figures.ended = 640;
    expect(VERDICT_STEADY);
    begin();
    brief();
    figures.task = true;
    figures.ended = 320;
    expect(VERDICT_LEAKED);
    figures.first = figures.tc - 0.01;
    expect(VERDICT_STEADY);
}

Test(heap_verdicts, a_few_tasks_and_no_more_of_them_are_a_pool)
{
    figures.work_is_load = false;
    figures.task = true;
    figures.few = 10;
    figures.first = 999.5;
    for (int i = 0; i < COHORT_WINDOWS; i++)
        window_end[i] = 999.5 + 0.5 * (i + 1) / COHORT_WINDOWS;
    for (int i = 0; i < 12; i++) {
        figures.opened++;
        figures.alive++;
        by_work[i * 5]++;
        by_time[i]++;
        surviving[bucket(0.5 - i / 128.0)]++;
    }
    for (int i = 0; i < COHORT_WINDOWS; i++)
        low[i] = (i + 4) / 5;
    expect(VERDICT_PLATEAU);
    memset(by_time, 0, sizeof(by_time));
    for (int i = 0; i < 12; i++)
        by_time[i * 5]++;
    expect(VERDICT_LEAKED);
}

/* ---- containers ---- */

/* One block, which doubles in windows of that number, of twelve. */
static enum verdict doubled_in(const unsigned *windows, unsigned count)
{
    double bytes = 512;
    begin();
    figures.opened = figures.alive = 1;
    for (unsigned i = 0, step = 0; i < 12; i++) {
        if (step < count && windows[step] == i) {
            bytes *= 2;
            step++;
        }
        low[i] = 1;
        low_bytes[i] = bytes;
    }
    figures.levels.count = 12;
    figures.alive_bytes = figures.resized = (uint64_t)bytes;
    return heap_judge(&figures).verdict;
}

Test(heap_verdicts, a_container_whose_windows_are_uneven_grows)
{
    cr_expect_eq(doubled_in((const unsigned[]){1, 2, 3, 4, 7}, 5), VERDICT_CREEP);
    cr_expect_eq(doubled_in((const unsigned[]){1, 2, 4, 5, 6, 7}, 6), VERDICT_CREEP, "as seen on a busy machine");
    cr_expect_neq(doubled_in((const unsigned[]){1, 2, 3, 4, 5}, 5), VERDICT_CREEP, "it has stopped");
}

/* ---- the floor ---- */

Test(heap_verdicts, little_is_not_worth_a_word)
{
    cr_expect(heap_above_floor(200, 20000000, 20e6));
    cr_expect(heap_above_floor(10000, 640000, 1e6), "many small ones are");
    cr_expect_not(heap_above_floor(200, 12800, 1e6));
    cr_expect_not(heap_above_floor(10, 1 << 19, 0));
    cr_expect_not(heap_above_floor(10, 2 << 20, 1e9), "not one percent of what the process grew");
}
