/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "feed.h"
#include "verdicts/pools.h"

static struct pool_judgement judgement;

static enum severity of_two(struct pool first, struct pool second)
{
    struct pool pools[] = {first, second};
    cr_expect_not(pool_judge(pools, 2, 0, &judgement), "the first one is the one to keep");
    return pool_judge(pools, 2, 1, &judgement) ? judgement.severity : SEVERITY_NONE;
}

Test(pools, what_is_kept_and_used_again)
{
    cr_expect(pool_keeps(&(struct pool_member){.birth = 1, .end = 11, .statements = 10}, 11));
    cr_expect_not(pool_keeps(&(struct pool_member){.birth = 1, .end = 11, .statements = 9}, 11), "few uses");
    cr_expect_not(pool_keeps(&(struct pool_member){.birth = 1, .end = 5, .statements = 100}, 11), "soon closed");
}

Test(pools, two_to_one_database_side_by_side)
{
    const struct pool first = {.place = 1, .database = 1, .members = 2, .from = 0, .to = 10};
    struct pool second = {.place = 2, .database = 1, .members = 3, .from = 1, .to = 10};
    cr_expect_eq(of_two(first, second), SEVERITY_WARNING);
    cr_expect_eq(judgement.pools, 2);
    cr_expect_eq(judgement.connections, 5);
    second.members = 1;
    cr_expect_eq(of_two(first, second), SEVERITY_NOTE, "one may be somebody's own");
    second.from = 9.9;
    second.to = 30;
    cr_expect_eq(of_two(first, second), SEVERITY_NONE, "one after the other");
    second = (struct pool){.place = 2, .database = 2, .members = 3, .from = 1, .to = 10};
    cr_expect_eq(of_two(first, second), SEVERITY_NONE, "another database");
    second = (struct pool){.place = 1, .database = 1, .members = 3, .from = 1, .to = 10};
    cr_expect_eq(of_two(first, second), SEVERITY_NONE, "one place: one for each thread");
}

Test(pools, one_pool_is_known_by_what_sends_the_same_over_all)
{
    enum { FIRST = 0x10, SECOND = 0x20, ALONE = 0x30, HERE = 1, THERE = 2 };
    struct feed feed;
    feed_open(&feed);
    feed_pg_connect(&feed, FIRST, 5, HERE);
    feed_pg_connect(&feed, SECOND, 6, THERE);
    feed_pg_connect(&feed, ALONE, 7, THERE);
    for (uint64_t conn = FIRST; conn <= ALONE; conn += 0x10) {
        feed_hook(&feed, STRAY_HOOK_PQexec, STRAY_STATEMENT, STRAY_PGCONN, conn, FEED_READ, conn == ALONE ? THERE : HERE);
        feed_hook(&feed, STRAY_HOOK_PQexec, STRAY_USE, STRAY_PGCONN, conn, 1000, 0);
    }
    feed_finish(&feed);
    const struct statements *statements = &feed.lives->statements;
    cr_expect_eq(statements_group(statements, 1), statements_group(statements, 0));
    cr_expect_neq(statements_group(statements, 2), statements_group(statements, 0));
    feed_close_all(&feed);
}

Test(pools, threads_that_wait_for_one)
{
    struct pool_queue queue = {.times = 9, .waited_s = 0.9, .observed_s = 10};
    cr_expect_not(pool_judge_queue(&queue, &judgement), "seldom, and not for long");
    queue.times = 10;
    cr_expect(pool_judge_queue(&queue, &judgement) && judgement.severity == SEVERITY_NOTE);
    queue.waited_s = 1;
    cr_expect(pool_judge_queue(&queue, &judgement) && judgement.severity == SEVERITY_WARNING);
    queue.times = 3;
    cr_expect(pool_judge_queue(&queue, &judgement) && judgement.confidence == CONFIDENCE_MEDIUM, "a few that take long");
    queue.times = 2;
    cr_expect_not(pool_judge_queue(&queue, &judgement));
}
