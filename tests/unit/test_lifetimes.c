/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- samples ---- */

static uint64_t sample_of(uint64_t weight, uint64_t size)
{
    return weight * 16 << 32 | size;
}

Test(lifetimes, samples_are_counted_and_what_they_stand_for_is_told)
{
    feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x1000, sample_of(50, 300), 7);
    feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x2000, sample_of(100, 160), 7);
    feed_event(&feed, STRAY_ELIDED, STRAY_PYOBJECT, 3 | UINT64_C(10) << 56, 3 * sample_of(50, 300), 7);
    feed_event(&feed, STRAY_CLOSE, STRAY_PYOBJECT, 0x1000, 0, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_PYOBJECT, 300, 200, 100);
    cr_expect(feed.lives->books[STRAY_PYOBJECT].estimated);
    cr_expect_eq(feed.lives->books[STRAY_PYOBJECT].peak, 150);
    cr_expect_eq(feed.lives->books[STRAY_PYOBJECT].bytes_open, 16000);
    cr_expect_float_eq(feed.lives->books[STRAY_PYOBJECT].born.variance, 4 * 50 * 49 + 100 * 99, 1e-6);
    cr_expect_float_eq(feed.lives->books[STRAY_PYOBJECT].living.bytes_variance, 16000 * 16000 * 0.99, 1e-3);
    const struct site *place = feed_site(&feed, STRAY_PYOBJECT, 7);
    cr_expect_eq(place->opened, 5);
    cr_expect_eq(place->open, 1);
    cr_expect_eq(place->alive_bytes, 16000);
    cr_expect_float_eq(place->at_end.count, 100, 1e-9);
}

Test(lifetimes, objects_that_are_no_samples_stand_for_themselves)
{
    feed_event(&feed, STRAY_OPEN, STRAY_PYOBJECT, 0x1000, 300, 7);
    feed_event(&feed, STRAY_RESIZE, STRAY_PYOBJECT, 0x1000, 200, 0);
    feed_event(&feed, STRAY_CLOSE, STRAY_PYOBJECT, 0x3000, 0, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_PYOBJECT, 1, 0, 1);
    cr_expect_not(feed.lives->books[STRAY_PYOBJECT].estimated);
    cr_expect_eq(feed.lives->books[STRAY_PYOBJECT].bytes_open, 200);
    cr_expect_eq(feed.lives->books[STRAY_PYOBJECT].unknown, 1);
}

/* ---- samples of the heap ---- */

#define MEAN 65536

static void sampled(void)
{
    feed_close_all(&feed);
    feed_open_sampled(&feed, MEAN);
}

/* The reciprocal of the probability that a point lies in a block. */
static double weight(double size)
{
    return 1 / (1 - exp(-size / MEAN));
}

static void expect_estimate(const struct tally *tally, double count, double variance)
{
    cr_expect_float_eq(tally->count, count, 1e-6 * count + 1e-9, "%f, not %f", tally->count, count);
    cr_expect_float_eq(tally->variance, variance, 1e-6 * variance + 1e-9, "%f, not %f", tally->variance, variance);
}

Test(lifetimes, heap_samples_stand_for_what_their_sizes_say)
{
    double small = weight(16), large = weight(200000);
    sampled();
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 16, 7);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x2000, 16, 7);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x3000, 200000, 7);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x2000, 0, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    const struct site *place = feed_site(&feed, STRAY_HEAP, 7);
    cr_expect(place->estimated && feed.lives->books[STRAY_HEAP].estimated);
    cr_expect_eq(place->opened, 3, "statistics rest on what was seen");
    expect_estimate(&place->born, 2 * small + large, 2 * small * (small - 1) + large * (large - 1));
    expect_estimate(&place->at_end, small + large, small * (small - 1) + large * (large - 1));
    uint64_t opened = (uint64_t)(2 * small + large + 0.5), open = (uint64_t)(small + large + 0.5);
    feed_expect(&feed, STRAY_HEAP, opened, opened - open, open);
    double tiny_bytes = 16 * small, large_bytes = 200000 * large;
    cr_expect_float_eq((double)place->alive_bytes, tiny_bytes + large_bytes, 1);
    double variance = tiny_bytes * tiny_bytes * (1 - 1 / small) + large_bytes * large_bytes * (1 - 1 / large);
    cr_expect_float_eq(place->at_end.bytes_variance, variance, 1e-4 * variance);
}

Test(lifetimes, heap_blocks_that_are_certain_to_be_sampled_are_exact)
{
    sampled();
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, UINT64_C(10) << 30, 7);
    feed_exit(&feed);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_HEAP, 1, 0, 1);
    expect_estimate(&feed_site(&feed, STRAY_HEAP, 7)->born, 1, 0);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 7)->alive_bytes, UINT64_C(10) << 30);
}

Test(lifetimes, heap_samples_of_no_size_count_as_one_byte)
{
    sampled();
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 0, 7);
    feed_exit(&feed);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_HEAP, (uint64_t)(weight(1) + 0.5), 0, (uint64_t)(weight(1) + 0.5));
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 7)->alive_bytes, 0);
}

/* One block that was a sample throughout, one that came to be one, one that came to be none: each counts once, as what it was
 * last. */
Test(lifetimes, heap_samples_that_are_resized)
{
    sampled();
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100, 7);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_HEAP, 0x1000, 0, 0);
    feed_event(&feed, STRAY_MOVE_TO, STRAY_HEAP, 0x2000, 5000, 0);
    feed_event(&feed, STRAY_RESIZE, STRAY_HEAP, 0x2000, 9000, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x3000, 9000, 8);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x4000, 300, 7);
    feed_event(&feed, STRAY_LEFT, STRAY_HEAP, 0x4000, 0, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    double now = weight(9000), variance = now * (now - 1);
    expect_estimate(&feed_site(&feed, STRAY_HEAP, 7)->born, now, variance);
    expect_estimate(&feed_site(&feed, STRAY_HEAP, 7)->living, now, variance);
    expect_estimate(&feed_site(&feed, STRAY_HEAP, 8)->born, now, variance);
    feed_expect(&feed, STRAY_HEAP, (uint64_t)(2 * now + 0.5), 0, (uint64_t)(2 * now + 0.5));
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 7)->open, 1);
    cr_expect_float_eq((double)feed_site(&feed, STRAY_HEAP, 7)->alive_bytes, 9000 * now, 1);
}

/* The address of a sample that nobody saw go, or of a string that was watched, may be anybody's. */
Test(lifetimes, releases_of_what_is_no_sample_mean_nothing)
{
    sampled();
    feed_event(&feed, STRAY_OPEN, STRAY_PGSTRING, 0x1000, 0, 7);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x1000, 0, 0);
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, 0x2000, 0, 0);
    feed_event(&feed, STRAY_LEFT, STRAY_HEAP, 0x3000, 0, 0);
    feed_event(&feed, STRAY_RESIZE, STRAY_HEAP, 0x4000, 5, 0);
    feed_exit(&feed);
    feed_finish(&feed);
    feed_expect(&feed, STRAY_HEAP, 0, 0, 0);
    feed_expect(&feed, STRAY_PGSTRING, 1, 1, 0);
    cr_expect_eq(feed.lives->books[STRAY_HEAP].unknown, 0);
}

Test(lifetimes, heap_samples_measure_the_work_but_are_no_number_of_allocations)
{
    sampled();
    for (int i = 0; i < 100; i++)
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000 + 0x100 * (uint64_t)i, 1000, 7);
    feed_exit(&feed);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->axis, AXIS_ALLOCATIONS);
    struct report *report = feed_report(&feed, false);
    cr_expect_eq(report->axis, AXIS_TIME);
    report_free(report);
}

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

/* ---- memory and work ---- */

Test(lifetimes, memory_is_sampled_with_the_heap_of_that_moment)
{
    feed_event(&feed, STRAY_MEMORY, 0, 1 << 20, 4096, 0);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 500, 1);
    feed_event(&feed, STRAY_MEMORY, 0, 3 << 20, 8192, 0);
    cr_expect_eq(feed.lives->memory.first_rss, 1 << 20);
    cr_expect_eq(feed.lives->memory.last_rss, 3 << 20);
    cr_expect_eq(feed.lives->memory.last_heap - feed.lives->memory.first_heap, 500);
    cr_expect_eq(feed.lives->memory.last_tracer, 8192);
}

/* ---- the axis ---- */

Test(lifetimes, requests_are_the_axis_where_there_are_any)
{
    for (uint64_t i = 0; i < 40; i++) {
        feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 10, 7, 1);
        feed_event(&feed, STRAY_CLOSE, STRAY_CONNECTION, 10, 0, BY_CLOSE);
    }
    feed_finish(&feed);
    cr_expect_eq(feed.lives->axis, AXIS_REQUESTS);
    cr_expect_eq(feed.lives->at_tc.at[AXIS_REQUESTS], 40);
}

Test(lifetimes, else_statements_else_allocations)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 1, 1);
    feed_pg_connect(&feed, 0x1000, 3, 1);
    for (uint64_t i = 0; i < 40; i++)
        feed_pg_use(&feed, 0x1000);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->axis, AXIS_STATEMENTS);
    feed_close_all(&feed);
    feed_open(&feed);
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 1, 1);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->axis, AXIS_ALLOCATIONS);
}

/* What was done while a buffer filled up is told at its end, site by site and octave by octave. */
Test(lifetimes, sums_are_spread_over_the_time_they_came_from)
{
    for (uint64_t batch = 1; batch <= 2; batch++) {
        feed.since = feed.now;
        for (uint64_t i = 0; i < 500; i++) {
            feed_wait(&feed, 2 * MS);
            feed_event(&feed, STRAY_OPEN, STRAY_HEAP, (batch << 32) + i * 16, 1, 1);
        }
        for (uint64_t octave = 10; octave < 15; octave++) {
            feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 10000 | octave << 56, 0, 2);
            feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 10000 | octave << 56, 0, 3);
        }
    }
    feed_finish(&feed);
    const struct marks *marks = &feed.lives->marks;
    cr_expect_eq(feed.lives->at_tc.at[AXIS_ALLOCATIONS], 201000);
    for (uint64_t quarter = 1; quarter < 4; quarter++) {
        const struct mark *mark = marks_at(marks, (uint32_t)(marks->current * quarter / 4));
        cr_expect_float_eq((double)mark->at[AXIS_ALLOCATIONS], 50250.0 * (double)quarter, 1000, "%lu",
                           (unsigned long)mark->at[AXIS_ALLOCATIONS]);
    }
}

Test(lifetimes, sums_stay_spread_when_marks_merge)
{
    for (uint64_t i = 1; i <= 100000; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
        if (i % 20000 == 0) {
            feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 900000 | UINT64_C(12) << 56, 0, 2);
            feed.since = feed.now;
        }
    }
    feed_finish(&feed);
    const struct mark *middle = marks_at(&feed.lives->marks, feed.lives->marks.current / 2);
    cr_expect_eq(feed.lives->marks.shift, 1);
    cr_expect_float_eq((double)feed.lives->at_tc.at[AXIS_ALLOCATIONS], 4600000, 10);
    cr_expect_float_eq((double)middle->at[AXIS_ALLOCATIONS], 2300000, 5000, "%lu",
                       (unsigned long)middle->at[AXIS_ALLOCATIONS]);
}

static void expect_steady_work(double all)
{
    feed_finish(&feed);
    const struct marks *marks = &feed.lives->marks;
    cr_expect_float_eq((double)feed.lives->at_tc.at[AXIS_ALLOCATIONS], all, 1);
    for (uint64_t quarter = 1; quarter < 4; quarter++) {
        const struct mark *mark = marks_at(marks, (uint32_t)(marks->current * quarter / 4));
        cr_expect_float_eq((double)mark->at[AXIS_ALLOCATIONS], all / 4 * (double)quarter, all / 50, "%lu of %g",
                           (unsigned long)mark->at[AXIS_ALLOCATIONS], all);
    }
}

/* On a fast machine buffers fill up within a mark or two: each still tells its own stretch, and none all from the start. */
Test(lifetimes, work_that_is_told_at_every_mark_is_spread_over_its_own)
{
    for (uint64_t i = 1; i <= 1000; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
        feed_event(&feed, STRAY_WORK, STRAY_RESOURCE_NONE, 0, 99, 0);
    }
    expect_steady_work(100000);
}

Test(lifetimes, sums_that_come_at_every_mark_are_spread_over_their_own)
{
    for (uint64_t i = 1; i <= 1000; i++) {
        feed.since = feed.now;
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
        feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 99 | UINT64_C(12) << 56, 0, 2);
    }
    expect_steady_work(100000);
}

/* Each sum stands where its last life ended: those of one buffer may lie far apart, and have come about since it was begun. */
Test(lifetimes, sums_of_one_buffer_have_one_beginning)
{
    feed.since = feed.now;
    for (uint64_t i = 1; i <= 1000; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
        if (i % 100 == 0)
            feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 1 | UINT64_C(12) << 56, 0, 3);
    }
    feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 99000 | UINT64_C(12) << 56, 0, 2);
    expect_steady_work(100010);
}

/* Moments are kept to some hundreds of events: what was done between two of them lies between the births there. */
Test(lifetimes, births_between_two_moments_are_spread_over_the_work)
{
    feed.since = feed.now;
    for (uint64_t i = 1; i <= 2048; i++)
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
    feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 200000 | UINT64_C(12) << 56, 0, 2);
    feed_finish(&feed);
    const struct growth *growth = feed.lives->sites[0].growth;
    cr_assert_not_null(growth);
    for (int i = 0; i < LIVES_WINDOWS; i++)
        cr_expect(growth->by_work[i] >= 16 && growth->by_work[i] <= 48, "window %d: %u", i, growth->by_work[i]);
}

/* What a thread did before its first sums were told, it did since it began. */
Test(lifetimes, the_first_work_of_a_thread_came_since_it_began)
{
    for (uint64_t i = 1; i <= 1000; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
    }
    feed.lane = 5;
    feed_event(&feed, STRAY_OWNER, STRAY_RESOURCE_NONE, 9, 0, 0);
    uint32_t began = feed.lives->marks.current;
    feed.since = feed.now;
    feed_wait(&feed, 200 * MS);
    feed_event(&feed, STRAY_WORK, STRAY_RESOURCE_NONE, 0, 5000, 0);
    feed_wait(&feed, 2 * MS);
    feed_event(&feed, STRAY_ELIDED, STRAY_HEAP, 100 | UINT64_C(12) << 56, 0, 2);
    feed_finish(&feed);
    cr_expect_eq(feed.lives->at_tc.at[AXIS_ALLOCATIONS], 6100);
    cr_expect_eq(marks_at(&feed.lives->marks, began)->at[AXIS_ALLOCATIONS], 1000);
}

Test(lifetimes, work_beyond_all_numbers_is_the_most_there_is)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 1, 1);
    for (unsigned i = 0; i < 3; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_WORK, STRAY_RESOURCE_NONE, 0, UINT64_MAX, 0);
    }
    struct marks marks = feed.lives->marks;
    cr_expect_eq(marks_settle(&marks, AXIS_REQUESTS), UINT64_MAX);
}

Test(lifetimes, a_realloc_that_grows_is_counted)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, 0x1000, 100000, 1);
    feed_event(&feed, STRAY_RESIZE, STRAY_HEAP, 0x1000, 150000, 0);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_HEAP, 0x1000, 0, 0);
    feed_event(&feed, STRAY_MOVE_TO, STRAY_HEAP, 0x2000, 400000, 0);
    feed_event(&feed, STRAY_RESIZE, STRAY_HEAP, 0x2000, 300000, 0);
    feed_finish(&feed);
    cr_assert_not_null(feed_site(&feed, STRAY_HEAP, 1)->growth);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->growth->resized, 300000);
}

Test(lifetimes, marks_stay_in_bounds_and_true)
{
    for (uint64_t i = 1; i <= 200000; i++) {
        feed_wait(&feed, 2 * MS);
        feed_event(&feed, STRAY_OPEN, STRAY_HEAP, i * 16, 1, 1);
    }
    cr_expect_leq(feed.lives->marks.count, MARKS_LIMIT);
    const struct mark *middle = marks_at(&feed.lives->marks, feed.lives->marks.current / 2);
    cr_expect_float_eq((double)middle->at[AXIS_ALLOCATIONS], 100000, 10);
    feed_finish(&feed);
    cr_expect_eq(feed_site(&feed, STRAY_HEAP, 1)->alive, 200000);
    const struct growth *growth = feed_site(&feed, STRAY_HEAP, 1)->growth;
    cr_assert_not_null(growth);
    cr_expect_float_eq((double)growth->by_work[32], 3125.0, 10);
    cr_expect_float_eq((double)growth->by_time[32], 3125.0, 10);
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
