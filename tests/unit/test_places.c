/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places one by one: how what they acquired came and went, and that there are never too many. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "feed.h"
#include "views/places.h"

#define PLACE 10

static struct feed feed;

static void begin(void)
{
    feed_open(&feed);
    feed.places = true;
}

static void end(void)
{
    feed_close_all(&feed);
}

TestSuite(places, .init = begin, .fini = end);

static void acquire(uint64_t address, uint64_t size, uint32_t stack)
{
    feed_event(&feed, STRAY_OPEN, STRAY_HEAP, address, size, stack);
}

static void release(uint64_t address)
{
    feed_event(&feed, STRAY_CLOSE, STRAY_HEAP, address, 0, 0);
}

static double sum(const double *values, unsigned count)
{
    double total = 0;
    for (unsigned i = 0; i < count; i++)
        total += values[i];
    return total;
}

/* Every third block stays. */
Test(places, blocks_born_and_kept)
{
    for (uint64_t i = 1; i <= 3000; i++) {
        acquire(i, 100, PLACE);
        feed_wait(&feed, MS);
        if (i > 50 && (i - 50) % 3 != 0)
            release(i - 50);
    }
    struct report *report = feed_report(&feed, false);
    const struct places *places = report->places;
    cr_assert_eq(places->count, 1);
    cr_assert_eq(places->process_count, 1);
    const struct place *place = &places->items[0];
    unsigned windows = places->processes[0].windows;
    cr_expect(windows > 30 && windows <= COURSE_WINDOWS);
    cr_expect_eq(sum(place->course.born, windows), 3000);
    cr_expect_eq(sum(place->course.kept, windows), (double)place->alive);
    for (unsigned i = 0; i < windows; i++)
        cr_expect_leq(place->course.kept[i], place->course.born[i]);
    cr_expect_lt(place->course.open[0], place->course.open[windows - 1]);
    cr_expect_float_eq(place->course.bytes[windows - 1], 100 * place->course.open[windows - 1], 1);
    cr_expect_gt(place->curve_count, 0);
    cr_assert_eq(place->stack_count, 1);
    cr_expect_eq(place->stacks[0].alive, place->alive);
    cr_expect_str_eq(places->tree.frames[places->tree.nodes[place->stacks[0].node].frame].function, "f10");
    report_free(report);
}

/* Their lives tell exactly, also of few. */
Test(places, connections_born_and_kept)
{
    for (uint64_t i = 0; i < 6; i++) {
        feed_connect(&feed, 10 + i, 1, PLACE);
        feed_wait(&feed, 1000 * MS);
        if (i % 2)
            feed_close(&feed, 10 + i, BY_CLOSE);
    }
    struct report *report = feed_report(&feed, false);
    const struct places *places = report->places;
    const struct place *place = NULL;
    for (size_t i = 0; i < places->count; i++)
        if (places->items[i].resource == STRAY_CONNECTION)
            place = &places->items[i];
    cr_assert(place);
    unsigned windows = places->processes[0].windows;
    cr_expect_eq(sum(place->course.born, windows), 6);
    cr_expect_eq(sum(place->course.kept, windows), 3);
    cr_expect_eq(place->course.open[windows - 1], 3);
    report_free(report);
}

Test(places, no_more_than_there_is_room_for)
{
    enum { MANY = 400, EACH = 40 };
    for (uint64_t i = 0; i < MANY * EACH; i++)
        acquire(i + 1, i % MANY == 7 ? 1 << 20 : 64, 100 + (uint32_t)(i % MANY));
    struct report *report = feed_report(&feed, false);
    const struct places *places = report->places;
    cr_expect_eq(places->count, PLACES_MAX);
    cr_expect_eq(places->left_out, MANY - PLACES_MAX);
    cr_expect_eq(places->items[0].site.line, 107, "the one that holds most comes first");
    cr_expect_leq(places->row_count, STACKS_MAX);
    report_free(report);
}

Test(places, what_was_never_held_in_numbers_is_not_told)
{
    for (uint64_t i = 1; i <= 20; i++)
        acquire(i, 64, PLACE);
    struct report *report = feed_report(&feed, true);
    cr_expect_eq(report->places->count, 0);
    cr_expect_eq(report->places->row_count, 1, "but it stands in the flame graph");
    cr_expect_null(report->places->rows[0].open);
    report_free(report);
}

Test(places, of_a_program_that_did_nothing)
{
    struct report *report = feed_report(&feed, true);
    cr_expect_eq(report->places->count, 0);
    cr_expect_eq(report->places->processes[0].windows, 0);
    report_free(report);
}

Test(tree, stacks_share_their_outer_frames)
{
    struct report_frame frames[] = {{.function = "c", .line = 3}, {.function = "b", .line = 2}, {.function = "a", .line = 1}};
    struct tree tree = {0};
    uint32_t node, again, other, none;
    cr_assert_eq(tree_add(&tree, frames, 3, &node), 0);
    cr_assert_eq(tree_add(&tree, frames, 3, &again), 0);
    cr_assert_eq(tree_add(&tree, frames + 1, 2, &other), 0);
    cr_assert_eq(tree_add(&tree, frames, 0, &none), 0);
    cr_expect_eq(node, again);
    cr_expect_eq(tree.nodes[node].parent, other);
    cr_expect_eq(none, TREE_ROOT);
    cr_expect_eq(tree.node_count, 3);
    cr_expect_str_eq(tree.frames[tree.nodes[node].frame].function, "c");
    tree_clear(&tree);
}

Test(tree, texts_stay_what_they_are)
{
    struct report_frame frame = {.function = "\x1b[2J", .file = "\xff.c"};
    struct tree tree = {0};
    uint32_t node;
    cr_assert_eq(tree_add(&tree, &frame, 1, &node), 0);
    cr_expect_str_eq(tree.frames[0].function, "\x1b[2J");
    cr_expect_str_eq(tree.frames[0].file, "\xff.c");
    tree_clear(&tree);
}
