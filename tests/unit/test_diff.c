/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two runs compared: which word for which counts, and which place is which. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "views/diff.h"

enum { LEAKY = 10, TWIN = 20, SERVER = 40 };

Test(diff, the_ratio_has_a_log_normal_interval)
{
    struct interval ratio = diff_ratio(40, 1000, 10, 1000);
    double spread = exp(1.96 * sqrt(1 / 40. + 1 / 10.));
    cr_expect_float_eq(ratio.estimate, 0.25, 1e-12);
    cr_expect_float_eq(ratio.low, 0.25 / spread, 1e-12);
    cr_expect_float_eq(ratio.high, 0.25 * spread, 1e-12);
    ratio = diff_ratio(40, 1000, 80, 2000);
    cr_expect_float_eq(ratio.estimate, 1, 1e-12);
    ratio = diff_ratio(40, 1000, 0, 500);
    cr_expect_float_eq(ratio.estimate, 0, 1e-12);
    cr_expect_float_eq(ratio.high, 3. / 500 / (40. / 1000), 1e-12);
    cr_expect(isinf(diff_ratio(0, 1000, 5, 1000).high));
}

Test(diff, words)
{
    static const struct {
        uint64_t base;
        double base_work;
        uint64_t fresh;
        double fresh_work;
        enum diff_word word;
    } cases[] = {
        {100, 1000, 0, 1000, DIFF_FIXED},       {100, 1000, 0, 30, DIFF_FIXED}, /* three were due */
        {100, 1000, 0, 29, DIFF_TOO_SHORT},     {1, 1000, 0, 1000, DIFF_TOO_SHORT},
        {3, 1000, 0, 1000, DIFF_FIXED},         {100, 1000, 10, 1000, DIFF_IMPROVED},
        {100, 1000, 100, 1000, DIFF_UNCHANGED}, {100, 1000, 200, 2000, DIFF_UNCHANGED},
        {100, 1000, 300, 1000, DIFF_WORSE},     {5, 1000, 5, 1000, DIFF_TOO_SHORT},
        {5, 1000, 9, 1000, DIFF_TOO_SHORT},     {0, 1000, 100, 1000, DIFF_NEW},
        {0, 29, 100, 1000, DIFF_TOO_SHORT},     {100, 1000, 0, 0, DIFF_TOO_SHORT},
        {0, 0, 100, 1000, DIFF_TOO_SHORT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        double needed;
        enum diff_word word =
            diff_judge(cases[i].base, cases[i].base_work, cases[i].fresh, cases[i].fresh_work, &needed);
        cr_expect_eq(word, cases[i].word, "case %zu: %s", i, diff_word(word));
        cr_expect_eq(needed > 0, cases[i].base == 0 || cases[i].fresh == 0, "case %zu", i);
    }
}

/* `requests` of which each opens a connection at `stack`, which takes `connecting`, and every `leaks`-th keeps it. */
static struct ledger *slow_run(int requests, int leaks, uint32_t stack, uint64_t connecting)
{
    struct feed feed;
    feed_open(&feed);
    feed_keep_ledger(&feed);
    for (int i = 0; i < requests; i++) {
        uint64_t conn = 0x10000 + 16 * (uint64_t)i, fd = 100 + (uint64_t)i;
        feed_wait(&feed, 20 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 10, 7, SERVER);
        feed_pg_connect(&feed, conn, fd, stack);
        feed_event(&feed, STRAY_DURATION, STRAY_PGCONN, conn, connecting, 0);
        feed_pg_use(&feed, conn);
        feed_wait(&feed, MS);
        if (leaks == 0 || i % leaks != 0)
            feed_pg_close(&feed, conn, fd, BY_CLOSE);
        feed_event(&feed, STRAY_CLOSE, STRAY_CONNECTION, 10, 0, BY_CLOSE);
    }
    feed_wait(&feed, 20 * MS);
    feed_exit(&feed);
    struct ledger *ledger = feed_ledger(&feed);
    feed_close_all(&feed);
    return ledger;
}

static struct ledger *run(int requests, int leaks, uint32_t stack)
{
    return slow_run(requests, leaks, stack, 0);
}

static const struct diff_row *row_of(const struct diff *diff, unsigned resource, uint32_t line)
{
    for (size_t i = 0; i < diff->count; i++)
        if (diff->rows[i].resource == resource && diff->rows[i].site && diff->rows[i].site->line == line)
            return &diff->rows[i];
    return NULL;
}

static void expect(struct ledger *base, struct ledger *fresh, uint32_t line, enum diff_word word,
                   uint64_t base_count, uint64_t new_count)
{
    struct diff diff;
    cr_assert_eq(diff_make(base, fresh, &diff), 0);
    const struct diff_row *row = row_of(&diff, STRAY_CONNECTION, line);
    cr_assert_not_null(row);
    cr_expect_eq(row->word, word, "%s", diff_word(row->word));
    cr_expect_eq(row->base.count, base_count);
    cr_expect_eq(row->fresh.count, new_count);
    diff_clear(&diff);
    ledger_free(base);
    ledger_free(fresh);
}

Test(diff, a_fix_is_seen)
{
    expect(run(60, 1, LEAKY), run(60, 0, LEAKY), LEAKY, DIFF_FIXED, 60, 0);
}

Test(diff, a_leak_that_stays_is_unchanged_however_long_the_run)
{
    expect(run(60, 1, LEAKY), run(120, 1, LEAKY), LEAKY, DIFF_UNCHANGED, 60, 120);
}

Test(diff, a_leak_on_fewer_paths_is_improved_and_the_other_way_round_worse)
{
    expect(run(80, 1, LEAKY), run(80, 4, LEAKY), LEAKY, DIFF_IMPROVED, 80, 20);
    expect(run(80, 4, LEAKY), run(80, 1, LEAKY), LEAKY, DIFF_WORSE, 20, 80);
}

Test(diff, a_leak_where_there_was_none_is_new)
{
    expect(run(60, 0, LEAKY), run(60, 1, LEAKY), LEAKY, DIFF_NEW, 0, 60);
    expect(run(60, 0, TWIN), run(60, 1, LEAKY), LEAKY, DIFF_NEW, 0, 60);
}

/* Of a place that leaks it is not said that it opens one for each request; it did so all the same. */
Test(diff, a_fix_brings_no_churn_that_was_not_there)
{
    struct ledger *base = slow_run(60, 1, LEAKY, 10 * MS), *fresh = slow_run(60, 0, LEAKY, 10 * MS);
    struct diff diff;
    bool churn = false;
    cr_assert_eq(diff_make(base, fresh, &diff), 0);
    for (size_t i = 0; i < diff.count; i++) {
        const struct diff_row *row = &diff.rows[i];
        cr_expect_neq(row->word, DIFF_NEW);
        if (row->kind != VERDICT_CHURN)
            continue;
        churn = true;
        cr_expect_eq(row->word, DIFF_UNCHANGED);
        cr_expect_eq(row->base.count, 60);
        cr_expect_eq(row->fresh.count, 60);
    }
    cr_expect(churn);
    diff_clear(&diff);
    ledger_free(base);
    ledger_free(fresh);
}

Test(diff, nothing_on_both_sides_is_nothing)
{
    struct ledger *base = run(60, 0, LEAKY), *fresh = run(60, 0, LEAKY);
    struct diff diff;
    cr_assert_eq(diff_make(base, fresh, &diff), 0);
    cr_expect_eq(diff.count, 0);
    cr_expect_eq(diff.axis, AXIS_REQUESTS);
    cr_expect_not(diff.load_differs);
    diff_clear(&diff);
    ledger_free(base);
    ledger_free(fresh);
}

Test(diff, lines_move_and_places_stay)
{
    struct ledger *base = run(60, 1, LEAKY), *fresh = run(60, 1, LEAKY);
    fresh->frames[ledger_blame(fresh, fresh->places[1].stack) - fresh->frames].line = 99;
    struct diff diff;
    for (size_t i = 0; i < fresh->report->finding_count; i++)
        fresh->report->findings[i].stack.frames[0].line = 99;
    cr_assert_eq(diff_make(base, fresh, &diff), 0);
    for (size_t i = 0; i < diff.count; i++)
        cr_expect_eq(diff.rows[i].word, DIFF_UNCHANGED);
    diff_clear(&diff);
    ledger_free(base);
    ledger_free(fresh);
}

/* Puts two callers under every stack of a ledger: "handler", the user's own, and "main". */
static void add_callers(struct ledger *ledger, const char *handler)
{
    static struct report_frame frames[2][100];
    static int used;
    struct report_frame *grown = frames[used++ % 2];
    static uint32_t indexes[2][100][3];
    size_t count = ledger->frame_count;
    memcpy(grown, ledger->frames, count * sizeof(*grown));
    free(ledger->frames);
    grown[count] = (struct report_frame){.function = handler, .file = "app.py", .user = true};
    grown[count + 1] = (struct report_frame){.function = "main", .file = "run.py", .user = true};
    ledger->frames = grown;
    for (size_t i = 0; i < ledger->stack_count; i++) {
        if (ledger->stacks[i].count != 1)
            continue;
        uint32_t *own = indexes[(used - 1) % 2][i];
        own[0] = ledger->stacks[i].frames[0];
        own[1] = (uint32_t)count;
        own[2] = (uint32_t)count + 1;
        ledger->stacks[i].frames = own;
        ledger->stacks[i].count = 3;
    }
}

static void expect_renamed(const char *handler, enum diff_word word, bool by_callers)
{
    struct ledger *base = run(60, 1, LEAKY), *fresh = run(60, 1, TWIN);
    struct diff diff;
    add_callers(base, "handler");
    add_callers(fresh, handler);
    cr_assert_eq(diff_make(base, fresh, &diff), 0);
    const struct diff_row *row = row_of(&diff, STRAY_CONNECTION, TWIN);
    cr_assert_not_null(row);
    cr_expect_eq(row->word, word, "%s", diff_word(row->word));
    cr_expect_eq(row->by_callers, by_callers);
    cr_expect_eq(row_of(&diff, STRAY_CONNECTION, LEAKY) == NULL, by_callers);
    diff_clear(&diff);
    base->frames = fresh->frames = NULL;
    ledger_free(base);
    ledger_free(fresh);
}

Test(diff, a_function_that_was_renamed_is_known_by_its_callers)
{
    expect_renamed("handler", DIFF_UNCHANGED, true);
    expect_renamed("other handler", DIFF_NEW, false);
}

Test(diff, another_load_is_told)
{
    struct ledger *base = run(60, 1, LEAKY), *fresh = run(60, 1, LEAKY);
    struct diff diff;
    fresh->processes[0].work[AXIS_TIME] *= 1.19;
    cr_assert_eq(diff_make(base, fresh, &diff), 0);
    cr_expect_not(diff.load_differs);
    diff_clear(&diff);
    fresh->processes[0].work[AXIS_TIME] *= 1.19;
    cr_assert_eq(diff_make(base, fresh, &diff), 0);
    cr_expect(diff.load_differs);
    diff_clear(&diff);
    ledger_free(base);
    ledger_free(fresh);
}

Test(diff, the_axis_is_one_that_both_have)
{
    struct ledger *base = run(60, 1, LEAKY), *fresh = run(20, 1, LEAKY);
    struct diff diff;
    cr_assert_eq(base->report->axis, AXIS_REQUESTS);
    cr_assert_neq(fresh->report->axis, AXIS_REQUESTS);
    cr_assert_eq(diff_make(base, fresh, &diff), 0);
    cr_expect_eq(diff.axis, fresh->report->axis);
    cr_expect_gt(diff.base_work, 0);
    diff_clear(&diff);
    ledger_free(base);
    ledger_free(fresh);
}

Test(diff, text_and_json)
{
    struct ledger *base = run(60, 1, LEAKY), *fresh = run(60, 0, LEAKY);
    struct diff diff;
    char *text;
    size_t size;
    cr_assert_eq(diff_make(base, fresh, &diff), 0);
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(diff_write_text(&diff, out), 0);
    fclose(out);
    cr_expect(strstr(text, "fixed              leaked connection  f10()  app.py:10\n"), "%s", text);
    cr_expect(strstr(text, "none in 60 requests, where 60.0 were due"), "%s", text);
    free(text);
    out = open_memstream(&text, &size);
    cr_assert_eq(diff_write_json(&diff, out), 0);
    fclose(out);
    json_t *object = json_loads(text, 0, NULL);
    cr_assert(object, "%s", text);
    json_t *row = json_array_get(json_object_get(object, "sites"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(row, "word")), "fixed");
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(row, "base"), "count")), 60);
    json_decref(object);
    free(text);
    diff_clear(&diff);
    ledger_free(base);
    ledger_free(fresh);
}
