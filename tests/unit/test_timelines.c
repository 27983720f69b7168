/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections over time: how many there were, and how they stood. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "feed.h"
#include "views/timelines.h"

#define PLACE      10
#define CLOSE_WAIT 8

static struct feed feed;

static void begin(void)
{
    feed_open(&feed);
    feed_keep_ledger(&feed);
}

static void end(void)
{
    feed_close_all(&feed);
}

TestSuite(timelines, .init = begin, .fini = end);

static void use(uint64_t fd)
{
    feed_event(&feed, STRAY_USE, STRAY_CONNECTION, fd, 0, 0);
}

static uint32_t all_at(const struct timeline *timeline, unsigned bin)
{
    uint32_t sum = 0;
    for (unsigned state = 0; state < TIMELINE_STATES; state++)
        sum += timeline->counts[state][bin];
    return sum;
}

/* Ten seconds: one is used all the time, one at first only, one for five seconds. */
Test(timelines, states)
{
    feed_connect(&feed, 3, 1, PLACE);
    feed_connect(&feed, 4, 1, PLACE);
    feed_connect(&feed, 5, 1, PLACE);
    use(4);
    for (unsigned i = 0; i < 100; i++) {
        use(3);
        if (i == 50)
            feed_close(&feed, 5, BY_CLOSE);
        feed_wait(&feed, 100 * MS);
    }
    use(3);
    struct ledger *ledger = feed_ledger(&feed);
    struct timelines timelines;
    cr_assert_eq(timelines_make(ledger, &timelines), 0);
    cr_assert_eq(timelines.count, 1);
    const struct timeline *timeline = &timelines.items[0];
    unsigned last = TIMELINE_BINS - 1;
    cr_expect_float_eq(timelines.span_s, 10, 0.1);
    cr_expect_eq(all_at(timeline, 5), 3);
    cr_expect_eq(all_at(timeline, last), 2);
    cr_expect_eq(timeline->counts[TIMELINE_IN_USE][last - 1], 1);
    cr_expect_eq(timeline->counts[TIMELINE_IDLE][last - 1], 1);
    cr_expect_eq(timeline->life_total, 3);
    cr_expect_eq(timeline->life_count, 3);
    timelines_clear(&timelines);
    ledger_free(ledger);
}

Test(timelines, close_wait)
{
    feed_connect(&feed, 3, 1, PLACE);
    for (unsigned i = 0; i < 10; i++) {
        feed_wait(&feed, 1000 * MS);
        feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, 3, i < 5 ? UINT64_C(1) << 56 : (uint64_t)CLOSE_WAIT << 56, 0);
    }
    struct ledger *ledger = feed_ledger(&feed);
    struct timelines timelines;
    cr_assert_eq(timelines_make(ledger, &timelines), 0);
    const struct timeline *timeline = &timelines.items[0];
    cr_expect_eq(timeline->counts[TIMELINE_CLOSE_WAIT][TIMELINE_BINS / 4], 0);
    cr_expect_eq(timeline->counts[TIMELINE_CLOSE_WAIT][TIMELINE_BINS - 2], 1);
    cr_expect_gt(ledger->lives[timeline->lives[0]].close_wait_s, 5);
    timelines_clear(&timelines);
    ledger_free(ledger);
}

/* Of many, those that stayed open are told, and the latest. */
Test(timelines, bounded)
{
    for (uint64_t i = 0; i < 500; i++) {
        feed_connect(&feed, 10 + i, 1, PLACE);
        if (i != 3)
            feed_close(&feed, 10 + i, BY_CLOSE);
    }
    feed_wait(&feed, MS);
    struct ledger *ledger = feed_ledger(&feed);
    struct timelines timelines;
    cr_assert_eq(timelines_make(ledger, &timelines), 0);
    const struct timeline *timeline = &timelines.items[0];
    cr_expect_eq(timeline->life_total, 500);
    cr_assert_eq(timeline->life_count, TIMELINE_LIVES);
    cr_expect_eq(ledger->lives[timeline->lives[0]].handle, 13);
    cr_expect_eq(ledger->lives[timeline->lives[TIMELINE_LIVES - 1]].handle, 509);
    timelines_clear(&timelines);
    ledger_free(ledger);
}
