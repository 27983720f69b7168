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

TestSuite(lifetimes, .init = begin, .fini = end);

/* ---- heap ---- */

/* USED: so many calls, the last so many microseconds ago. */
static void feed_used(uint64_t fd, uint64_t calls, uint64_t microseconds)
{
    feed_event(&feed, STRAY_USED, STRAY_CONNECTION, fd, calls << 40 | microseconds, 0);
}

Test(lifetimes, told_uses_win_over_what_samples_presume)
{
    feed_connect(&feed, 3, 5, 10);
    const struct life *life = &feed.lives->lives[0];
    uint64_t birth = feed.now;
    feed_wait(&feed, 1000 * MS);
    feed_used(3, 4, 600000);
    cr_expect_eq(life->moved, 4);
    cr_expect(life->used_known && !life->sampled);
    uint64_t last = feed.now - 600 * MS;
    cr_expect_eq(life->last_use, last);
    cr_expect_eq(life->quiet, last - birth);
    feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, 3, 1ull << 56 | 3ull << 32 | 10, 0);
    cr_expect_eq(life->last_use, last);
    cr_expect_eq(life->sent, 3);
    feed_used(3, 4, 0); /* told again */
    cr_expect_eq(life->last_use, last);
    feed_wait(&feed, 1000 * MS);
    feed_used(3, 5, 100);
    cr_expect_eq(life->last_use, feed.now - 100000);
}

Test(lifetimes, uses_after_the_end_begins_are_none)
{
    feed_connect(&feed, 3, 5, 10);
    feed_used(3, 1, 0);
    uint64_t last = feed.now;
    feed_event(&feed, STRAY_END_BEGINS, 0, 0, STRAY_ENDING_EXIT, 0);
    feed_wait(&feed, MS);
    feed_used(3, 2, 0);
    cr_expect_eq(feed.lives->lives[0].last_use, last);
    cr_expect_eq(feed.lives->lives[0].moved_last, feed.now);
}

Test(lifetimes, a_stream_that_is_no_tcp_has_a_state_and_no_presumed_use)
{
    feed_connect(&feed, 3, 5, 10);
    const struct life *life = &feed.lives->lives[0];
    feed_wait(&feed, 1000 * MS);
    feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, 3, 8ull << 56 | UINT32_MAX, 0);
    cr_expect_not(life->used_known);
    cr_expect_eq(life->close_wait, 1);
    cr_expect(life->stream);
}

Test(lifetimes, a_reset_counts_as_hung_up_unless_this_side_shut_it_down)
{
    feed_connect(&feed, 3, 5, 10);
    feed_connect(&feed, 4, 5, 10);
    feed_event(&feed, STRAY_SHUTDOWN, STRAY_CONNECTION, 4, 2, 0);
    feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, 3, 7ull << 56, 0);
    feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, 4, 7ull << 56, 0);
    cr_expect_eq(feed.lives->lives[0].close_wait, 1);
    cr_expect_eq(feed.lives->lives[1].close_wait, 0);
}

Test(lifetimes, a_pgconn_of_another_process_counts_as_nothing)
{
    feed_pg_use(&feed, 0x100);
    feed_pg_use(&feed, 0x100);
    feed_event(&feed, STRAY_CLOSE, STRAY_PGCONN, 0x100, 0, BY_CLOSE);
    feed_event(&feed, STRAY_CLOSE, STRAY_PGCONN, 0x100, 0, BY_CLOSE);
    feed_finish(&feed);
    const struct book *book = &feed.lives->books[STRAY_PGCONN];
    cr_expect_eq(book->opened, 0);
    cr_expect_eq(book->closed, 0);
    cr_expect_eq(book->inherited, 0);
    cr_expect_eq(book->unknown, 2);
    cr_expect_eq(feed.lives->lives[0].moved, 3);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_PGCONN), 0);
}

Test(lifetimes, a_block_opens_and_closes)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100, 1);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x2000, 50, 2);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x1000, 0, 0);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_HEAP, 2, 1, 1);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].bytes_open, 50);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].peak_bytes, 150);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].peak, 2);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->open, 0);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 2)->alive_bytes, 50);
}

Test(lifetimes, a_block_of_no_bytes_is_a_block)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 0, 1);
    feed_expect(&feed, STRAY_HEAP, 1, 0, 1);
}

Test(lifetimes, an_unknown_release_changes_nothing)
{
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x1000, 0, 0);
    feed_event(&feed, STRAY_RESIZE, STRAY_HEAP, 0x1000, 8, 1);
    feed_expect(&feed, STRAY_HEAP, 0, 0, 0);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].unknown, 2);
}

Test(lifetimes, an_address_that_is_open_was_freed_unseen)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100, 1);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 30, 2);
    feed_expect(&feed, STRAY_HEAP, 2, 1, 1);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].bytes_open, 30);
}

Test(lifetimes, a_realloc_keeps_its_block)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100, 1);
    feed_event(&feed, STRAY_RESIZE, STRAY_HEAP, 0x1000, 200, 2);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_HEAP, 0x1000, 0, 2);
    feed_event(&feed, STRAY_MOVE_TO, STRAY_HEAP, 0x2000, 400, 2);
    feed_expect(&feed, STRAY_HEAP, 1, 0, 1);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->bytes_open, 400);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x2000, 0, 0);
    feed_expect(&feed, STRAY_HEAP, 1, 1, 0);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].bytes_open, 0);
}

Test(lifetimes, a_moving_blocks_old_address_is_free_for_others)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100, 1);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_HEAP, 0x1000, 0, 1);
    feed.lane = 1;
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 7, 2);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_HEAP, 0x1000, 0, 2);
    feed.lane = 0;
    feed_event(&feed, STRAY_MOVE_TO, STRAY_HEAP, 0x2000, 200, 1);
    feed.lane = 1;
    feed_event(&feed, STRAY_MOVE_TO, STRAY_HEAP, 0x3000, 14, 2);
    feed_expect(&feed, STRAY_HEAP, 2, 0, 2);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->bytes_open, 200);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 2)->bytes_open, 14);
}

Test(lifetimes, a_move_that_never_ends_keeps_the_block_open)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100, 1);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_HEAP, 0x1000, 0, 1);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_HEAP, 1, 0, 1);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->alive, 1);
}

Test(lifetimes, a_chain_of_unknown_origin_is_not_counted)
{
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_HEAP, 0x1000, 0, 1);
    feed_event(&feed, STRAY_MOVE_TO, STRAY_HEAP, 0x2000, 100, 1);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x2000, 0, 0);
    feed_expect(&feed, STRAY_HEAP, 0, 0, 0);
}

Test(lifetimes, a_result_and_the_block_it_lies_in_share_an_address)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100, 1);
    feed_event(&feed, STRAY_OPEN, STRAY_PGRESULT, 0x1000, 0, 1);
    feed_event(&feed, STRAY_CLOSE, STRAY_PGRESULT, 0x1000, 0, 1);
    feed_expect(&feed, STRAY_HEAP, 1, 0, 1);
    feed_expect(&feed, STRAY_PGRESULT, 1, 1, 0);
}

Test(lifetimes, short_lives_are_counted_though_told_in_sum)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100, 1);
    feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, UINT64_C(20) << 56 | 300, 9000, 1);
    feed_event(&feed, STRAY_ELIDED, STRAY_PGRESULT, UINT64_C(20) << 56 | 7, 0, 2);
    feed_expect(&feed, STRAY_HEAP, 301, 300, 1);
    feed_expect(&feed, STRAY_PGRESULT, 7, 7, 0);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].bytes_open, 100);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->opened, 301);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->closed, 300);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->at_tc.at[AXIS_ALLOCATIONS], 301);
}

Test(lifetimes, millions_of_blocks_come_and_go)
{
    for (uint64_t i = 1; i <= 300000; i++) {
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 16, 1);
        if (i > 1000 && i % 3)
            feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, (i - 1000) * 16, 0, 0);
    }
    feed_expect(&feed, STRAY_HEAP, 300000, 199333, 100667);
    for (uint64_t i = 1; i <= 300000; i++)
        feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, i * 16, 0, 0);
    feed_expect(&feed, STRAY_HEAP, 300000, 300000, 0);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].unknown, 199333);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].bytes_open, 0);
}

/* ---- descriptors ---- */

Test(lifetimes, a_socket_that_connects_counts_once_as_a_connection)
{
    feed_event(&feed, STRAY_OPEN, STRAY_SOCKET, 3, 0, 1);
    feed_expect(&feed, STRAY_SOCKET, 1, 0, 1);
    feed_event(&feed, STRAY_CONNECTED, STRAY_CONNECTION, 3, 5, 2);
    feed_expect(&feed, STRAY_SOCKET, 0, 0, 0);
    feed_expect(&feed, STRAY_CONNECTION, 1, 0, 1);
    cr_expect_eq(feed_site(&feed, STRAY_CONNECTION, 2)->opened, 1);
    cr_expect_eq(feed_site(&feed, STRAY_SOCKET, 1)->opened, 0);
    cr_expect_str_eq(feed.lives->peers[0].text, "peer-5");
    feed_close(&feed, 3, BY_CLOSE);
    feed_expect(&feed, STRAY_CONNECTION, 1, 1, 0);
    cr_expect_eq(feed.lives->peers[0].closed, 1);
}

Test(lifetimes, a_connect_that_takes_its_time)
{
    feed_event(&feed, STRAY_OPEN, STRAY_SOCKET, 3, 0, 1);
    feed_event(&feed, STRAY_CONNECTING, STRAY_CONNECTION, 3, 5, 2);
    feed_expect(&feed, STRAY_SOCKET, 1, 0, 1);
    feed_event(&feed, STRAY_CONNECTED, STRAY_CONNECTION, 3, 0, 0);
    feed_expect(&feed, STRAY_CONNECTION, 1, 0, 1);
    cr_expect_eq(feed_site(&feed, STRAY_CONNECTION, 2)->opened, 1);
    cr_expect_str_eq(feed.lives->peers[0].text, "peer-5");
}

Test(lifetimes, a_connect_that_never_settles_stays_a_socket)
{
    feed_event(&feed, STRAY_OPEN, STRAY_SOCKET, 3, 0, 1);
    feed_event(&feed, STRAY_CONNECTING, STRAY_CONNECTION, 3, 5, 2);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_SOCKET, 1, 0, 1);
    feed_expect(&feed, STRAY_CONNECTION, 0, 0, 0);
}

Test(lifetimes, a_refused_one_stays_a_socket)
{
    feed_event(&feed, STRAY_OPEN, STRAY_SOCKET, 3, 0, 1);
    feed_event(&feed, STRAY_REFUSED, STRAY_CONNECTION, 3, 111, 2);
    feed_event(&feed, STRAY_CLOSE, STRAY_SOCKET, 3, 0, BY_CLOSE);
    feed_expect(&feed, STRAY_SOCKET, 1, 1, 0);
    feed_expect(&feed, STRAY_CONNECTION, 0, 0, 0);
}

Test(lifetimes, an_accepted_one_has_the_listening_address)
{
    feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 4, 7, 1);
    feed_expect(&feed, STRAY_CONNECTION, 1, 0, 1);
    cr_expect(feed.lives->peers[0].server);
    cr_expect_str_eq(feed.lives->peers[0].text, "peer-7");
}

Test(lifetimes, client_and_server_sides_of_one_address_are_two_peers)
{
    feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 4, 7, 1);
    feed_connect(&feed, 5, 7, 2);
    cr_expect_eq(feed.lives->peer_count, 2);
}

Test(lifetimes, connecting_again_changes_the_peer)
{
    feed_connect(&feed, 3, 5, 1);
    feed_event(&feed, STRAY_CONNECTED, STRAY_CONNECTION, 3, 6, 2);
    feed_expect(&feed, STRAY_CONNECTION, 1, 0, 1);
    cr_expect_eq(feed.lives->peers[0].open, 0);
    cr_expect_eq(feed.lives->peers[0].opened, 0);
    cr_expect_str_eq(feed.lives->peers[1].text, "peer-6");
    cr_expect_eq(feed.lives->peers[1].open, 1);
}

Test(lifetimes, a_copy_has_its_originals_kind)
{
    feed_connect(&feed, 3, 5, 1);
    feed_event(&feed, STRAY_DUP, STRAY_SOCKET, 4, 3, 2);
    feed_expect(&feed, STRAY_CONNECTION, 2, 0, 2);
    cr_expect_eq(feed_site(&feed, STRAY_CONNECTION, 2)->opened, 1);
    cr_expect_eq(feed.lives->peers[0].open, 2);
    feed_close(&feed, 3, BY_CLOSE);
    feed_expect(&feed, STRAY_CONNECTION, 2, 1, 1);
}

Test(lifetimes, a_copy_onto_an_open_one_closes_that)
{
    feed_connect(&feed, 3, 5, 1);
    feed_connect(&feed, 4, 6, 1);
    feed_event(&feed, STRAY_IMPLICIT, STRAY_CONNECTION, 4, 0, 2);
    feed_event(&feed, STRAY_DUP, STRAY_CONNECTION, 4, 3, 2);
    feed_expect(&feed, STRAY_CONNECTION, 3, 1, 2);
    cr_expect_eq(feed.lives->lives[1].end, LIFE_IMPLICIT);
}

Test(lifetimes, a_number_that_is_open_was_closed_unseen)
{
    feed_connect(&feed, 3, 5, 1);
    feed_connect(&feed, 3, 5, 1);
    feed_expect(&feed, STRAY_CONNECTION, 2, 1, 1);
    cr_expect_eq(feed.lives->lives[0].end, LIFE_IMPLICIT);
}

Test(lifetimes, ends_are_labelled)
{
    feed_connect(&feed, 3, 5, 1);
    feed_connect(&feed, 4, 5, 1);
    feed_event(&feed, STRAY_RECONCILED, STRAY_CONNECTION, 3, 0, 0);
    feed_event(&feed, STRAY_EXEC_CLOSED, STRAY_CONNECTION, 4, 0, 0);
    cr_expect_eq(feed.lives->lives[0].end, LIFE_RECONCILED);
    cr_expect_eq(feed.lives->lives[1].end, LIFE_EXEC);
    feed_expect(&feed, STRAY_CONNECTION, 2, 2, 0);
    feed_finish(&feed);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 1, "what exec closed, the program had not");
}

Test(lifetimes, what_was_inherited_is_another_process_s)
{
    feed_event(&feed, STRAY_INHERITED, STRAY_CONNECTION, 3, 5, 0);
    feed_event(&feed, STRAY_CLOSE, STRAY_CONNECTION, 3, 0, BY_CLOSE);
    feed_event(&feed, STRAY_INHERITED, STRAY_SOCKET, 4, 0, 0);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_CONNECTION, 0, 0, 0);
    cr_expect_eq(feed.lives->books[STRAY_CONNECTION].inherited, 1);
    cr_expect_eq(feed.lives->books[STRAY_CONNECTION].unknown, 0);
    cr_expect_eq(feed.lives->books[STRAY_SOCKET].inherited, 1);
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_SOCKET), 0);
}

Test(lifetimes, what_was_open_when_it_was_attached_to_is_told_apart)
{
    feed_event(&feed, STRAY_BASELINE, 0, 0, 0, 0);
    feed_event(&feed, STRAY_INHERITED, STRAY_CONNECTION, 3, 5, 0);
    feed_event(&feed, STRAY_INHERITED, STRAY_CONNECTION, 4, 5, 0);
    feed_event(&feed, STRAY_INHERITED, STRAY_SOCKET, 6, 0, 0);
    feed_event(&feed, STRAY_BASELINE, 0, 4096, 2, 0);
    feed_event(&feed, STRAY_USE, STRAY_PGCONN, 0x70, 1, 1);
    feed_event(&feed, STRAY_LINK, STRAY_PGCONN, 0x70, 4, 0);
    feed_event(&feed, STRAY_CLOSE, STRAY_PGCONN, 0x80, 0, BY_CLOSE);
    feed_event(&feed, STRAY_CLOSE, STRAY_CONNECTION, 3, 0, BY_CLOSE);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x1000, 0, 0);
    feed_finish(&feed);
    const struct before *before = &feed.lives->before;
    cr_expect(before->attached);
    cr_expect_eq(before->threads, 2);
    cr_expect_eq(before->heap, 4096);
    cr_expect_eq(before->open[STRAY_CONNECTION], 2);
    cr_expect_eq(before->closed[STRAY_CONNECTION], 1);
    cr_expect_eq(before->open[STRAY_SOCKET], 1);
    cr_expect_eq(before->open[STRAY_PGCONN], 2, "each that is met, by its use or by its end");
    cr_expect_eq(before->closed[STRAY_PGCONN], 1);
    feed_expect(&feed, STRAY_CONNECTION, 0, 0, 0);
    feed_expect(&feed, STRAY_PGCONN, 0, 0, 0);
    cr_expect_eq(feed.lives->books[STRAY_PGCONN].unknown, 0);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].unknown, 1, "where a block is from nobody knows");
    cr_expect_eq(feed.lives->lives[1].partner, 3, "a PGconn and its socket");
    cr_expect_eq(feed_open_at_tc(&feed, STRAY_CONNECTION), 0, "nothing of it is judged");
}

Test(lifetimes, a_copy_of_an_inherited_one_is_an_acquire)
{
    feed_event(&feed, STRAY_INHERITED, STRAY_SOCKET, 3, 0, 0);
    feed_event(&feed, STRAY_DUP, STRAY_SOCKET, 5, 3, 1);
    feed_expect(&feed, STRAY_SOCKET, 1, 0, 1);
}

Test(lifetimes, an_impossible_descriptor_is_damage)
{
    feed_event(&feed, STRAY_OPEN, STRAY_SOCKET, UINT64_MAX, 0, 1);
    feed_event(&feed, STRAY_CLOSE, STRAY_SOCKET, UINT64_MAX, 0, 1);
    feed_event(&feed, 55, STRAY_SOCKET, 3, 0, 1);
    feed_event(&feed, STRAY_OPEN, 200, 3, 0, 1);
    feed_event(&feed, STRAY_OPEN, STRAY_RESOURCE_END, 0x1000, 0, 1);
    feed_event(&feed, STRAY_OPEN, STRAY_USER_FIRST - 1, 0x1000, 0, 1);
    feed_event(&feed, 200, 0, 0, 0, 0);
    cr_expect_eq(feed.lives->strange, 6);
}

/* A server that is told goodbye hangs up at once, and is seen to have done so where this side is slower to close. */
Test(lifetimes, who_hangs_up_after_the_end_has_begun_was_not_left_waiting)
{
    for (unsigned i = 0; i < 2; i++)
        feed_connect(&feed, 3 + i, 5, 1);
    feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, 3, 8ull << 56, 0);
    feed_wait(&feed, 100 * MS);
    feed_event(&feed, STRAY_END_BEGINS, 0, 0, STRAY_ENDING_EXIT, 0);
    for (unsigned i = 0; i < 2; i++)
        feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, 3 + i, 8ull << 56, 0);
    cr_expect_eq(life_waits(feed.lives, &feed.lives->lives[0]), 2);
    cr_expect_eq(life_waits(feed.lives, &feed.lives->lives[1]), 0);
}

Test(lifetimes, samples_tell_use_and_state)
{
    feed_connect(&feed, 3, 5, 1);
    feed_wait(&feed, 5000 * MS);
    feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, 3, 8ull << 56 | 7ull << 32 | 2000, 0);
    const struct life *life = &feed.lives->lives[0];
    cr_expect_eq(life->sent, 7);
    cr_expect_float_eq((double)life->last_use / 1e9, 3.0, 0.01);
    cr_expect_eq(life->close_wait, 1);
    feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, 3, 1ull << 56 | 6ull << 32 | 4000, 0);
    cr_expect_eq(life->sent, 7);
    cr_expect_eq(life->close_wait, 0);
}

/* ---- PGconns ---- */

Test(lifetimes, a_pgconn_knows_its_connection)
{
    feed_pg_connect(&feed, 0x1000, 3, 1);
    feed_pg_use(&feed, 0x1000);
    feed_pg_use(&feed, 0x1000);
    feed_hook(&feed, STRAY_HOOK_PQconnectPoll, STRAY_USE, STRAY_PGCONN, 0x1000, 500, 0);
    cr_expect_eq(feed.lives->lives[0].uses, 2, "polls are no exchanges");
    cr_expect_eq(feed.lives->lives[1].uses, 2);
    cr_expect_eq(feed.lives->lives[1].partner, 0);
    cr_expect_eq(feed.lives->lives[0].partner, 1);
    feed_pg_close(&feed, 0x1000, 3, BY_CLOSE);
    feed_expect(&feed, STRAY_PGCONN, 1, 1, 0);
}

Test(lifetimes, a_reset_takes_another_socket)
{
    feed_pg_connect(&feed, 0x1000, 3, 1);
    feed_close(&feed, 3, BY_CLOSE);
    feed_connect(&feed, 4, 5, 2);
    feed_event(&feed, STRAY_LINK, STRAY_PGCONN, 0x1000, 4, 0);
    feed_pg_use(&feed, 0x1000);
    cr_expect_eq(feed.lives->lives[0].partner, LIVES_NONE);
    cr_expect_eq(feed.lives->lives[2].uses, 1);
    feed_event(&feed, STRAY_LINK, STRAY_PGCONN, 0x1000, UINT64_MAX, 0);
    cr_expect_eq(feed.lives->lives[2].partner, LIVES_NONE);
}

Test(lifetimes, a_good_bye_is_no_use)
{
    feed_pg_connect(&feed, 0x1000, 3, 1);
    uint64_t used = feed.lives->lives[0].last_use;
    feed_wait(&feed, 1000 * MS);
    feed_event(&feed, STRAY_CLOSE, STRAY_PGCONN, 0x1000, 0, BY_EXIT);
    feed_event(&feed, STRAY_SAMPLE, STRAY_CONNECTION, 3, 1ull << 56 | 3ull << 32, 0);
    feed_close(&feed, 3, BY_EXIT);
    feed_event(&feed, STRAY_END_BEGINS, 0, 0, STRAY_ENDING_EXIT, 0);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->lives[0].last_use, used);
    cr_expect_eq(feed.lives->tc, feed.lives->lives[1].death, "the end began when the interpreter closed it");
}

Test(lifetimes, a_failed_one_is_marked)
{
    feed_hook(&feed, STRAY_HOOK_PQconnectdb, STRAY_OPEN, STRAY_PGCONN, 0x1000, 0, 1);
    feed_event(&feed, STRAY_FAILED, STRAY_PGCONN, 0x1000, 0, 0);
    cr_expect(feed.lives->lives[0].failed);
    feed_expect(&feed, STRAY_PGCONN, 1, 0, 1);
}

Test(lifetimes, durations_are_the_cost_of_connecting)
{
    feed_pg_connect(&feed, 0x1000, 3, 1);
    feed_event(&feed, STRAY_DURATION, STRAY_PGCONN, 0x1000, 700, 0);
    feed_event(&feed, STRAY_DURATION, STRAY_CONNECTION, 3, 30, 0);
    cr_expect_eq(feed.lives->lives[0].connect, 730);
    cr_expect_eq(feed.lives->lives[1].connect, 700);
}

/* ---- strings of libpq ---- */

Test(lifetimes, a_string_of_libpq_may_be_given_to_free)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 40, 1);
    feed_event(&feed, STRAY_OPEN, STRAY_PGSTRING, 0x1000, 0, 2);
    feed_event(&feed, STRAY_OPEN, STRAY_PGSTRING, 0x2000, 0, 2);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x1000, 0, 0);
    feed_expect(&feed, STRAY_HEAP, 1, 1, 0);
    feed_expect(&feed, STRAY_PGSTRING, 2, 1, 1);
    feed_event(&feed, STRAY_CLOSE, STRAY_PGSTRING, 0x2000, 0, 0);
    feed_expect(&feed, STRAY_PGSTRING, 2, 2, 0);
}
