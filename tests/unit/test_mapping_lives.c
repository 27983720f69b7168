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

TestSuite(mapping_lives, .init = begin, .fini = end);

#define PAGE UINT64_C(4096)

static void mapping(unsigned action, uint64_t page, uint64_t pages, uint32_t stack)
{
    feed_event(&feed, action, STRAY_MMAP, page * PAGE, pages * PAGE, stack);
}

Test(mapping_lives, a_mapping_is_open_until_its_last_page_is_gone)
{
    mapping(STRAY_OPEN, 10, 5, 1);
    mapping(STRAY_CLOSE, 12, 1, 0);
    feed_expect(&feed, STRAY_MMAP, 1, 0, 1);
    cr_expect_eq(feed.lives->books[STRAY_MMAP].bytes_open, 4 * PAGE);
    mapping(STRAY_CLOSE, 13, 100, 0);
    mapping(STRAY_CLOSE, 10, 2, 0);
    feed_expect(&feed, STRAY_MMAP, 1, 1, 0);
    cr_expect_eq(feed_site(&feed, STRAY_MMAP, 1)->bytes_open, 0);
    cr_expect_eq(feed.lives->books[STRAY_MMAP].unknown, 0);
    mapping(STRAY_CLOSE, 10, 5, 0);
    cr_expect_eq(feed.lives->books[STRAY_MMAP].unknown, 1);
}

Test(mapping_lives, mappings_that_make_no_sense_are_counted)
{
    mapping(STRAY_OPEN, 10, 0, 1);
    feed_event(&feed, STRAY_OPEN, STRAY_MMAP, UINT64_MAX - 10, 4096, 1);
    feed_event(&feed, STRAY_MOVE_FROM, STRAY_MMAP, 0, UINT64_MAX, 0);
    feed_event(&feed, STRAY_MOVE_TO, STRAY_MMAP, 4096, 4096, 0);
    cr_expect_eq(feed.lives->strange, 3);
    feed_expect(&feed, STRAY_MMAP, 0, 0, 0);
}

Test(mapping_lives, survivors_among_mappings_are_known)
{
    for (uint64_t i = 0; i < 100; i++) {
        mapping(STRAY_OPEN, 10 + 4 * i, 4, 1);
        mapping(STRAY_CLOSE, 10 + 4 * i, i % 2 ? 4 : 1, 0);
    }
    mapping(STRAY_MOVE_FROM, 10, 3, 0); /* under way when the end comes */
    feed_finish(&feed);
    const struct site *mapped = feed_site(&feed, STRAY_MMAP, 1);
    cr_expect_eq(mapped->alive, 50);
    cr_expect_eq(mapped->alive_bytes, 50 * 3 * PAGE);
    cr_assert_not_null(mapped->growth);
    uint64_t survivors = 0;
    for (unsigned i = 0; i < LIVES_WINDOWS; i++)
        survivors += mapped->growth->by_time[i];
    cr_expect_eq(survivors, 50);
}

/* ---- the same, page by page ---- */

#define MODEL_PAGES 64
#define MODEL_SITES 5

static uint32_t owner[MODEL_PAGES]; /* number of the mapping a page belongs to; 0: none */
static uint32_t born_at[10000];     /* site of each mapping */
static uint32_t mapped_count;

static void model_map(uint64_t page, uint64_t pages, uint32_t stack)
{
    born_at[++mapped_count] = stack;
    for (uint64_t i = page; i < page + pages; i++)
        owner[i] = mapped_count;
}

static void model_unmap(uint64_t page, uint64_t pages)
{
    for (uint64_t i = page; i < page + pages; i++)
        owner[i] = 0;
}

/* Unmaps the target, moves what there is, and grows the last page's mapping where that was mapped. */
static void model_move(uint64_t from, uint64_t to, uint64_t moved, uint64_t pages)
{
    uint32_t kept[MODEL_PAGES];
    for (uint64_t i = 0; i < moved; i++)
        kept[i] = owner[from + i];
    model_unmap(from, moved);
    for (uint64_t i = 0; i < pages; i++)
        owner[to + i] = i < moved ? kept[i] : kept[moved - 1];
}

static void compare_with_model(unsigned seed, unsigned step)
{
    uint64_t pages[MODEL_SITES + 1] = {0}, open[MODEL_SITES + 1] = {0}, opened[MODEL_SITES + 1] = {0};
    static bool seen[10000];
    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < MODEL_PAGES; i++) {
        if (owner[i] == 0)
            continue;
        pages[born_at[owner[i]]]++;
        open[born_at[owner[i]]] += !seen[owner[i]];
        seen[owner[i]] = true;
    }
    for (unsigned i = 1; i <= mapped_count; i++)
        opened[born_at[i]]++;
    for (uint32_t stack = 1; stack <= MODEL_SITES; stack++) {
        if (opened[stack] == 0)
            continue;
        const struct site *found = feed_site(&feed, STRAY_MMAP, stack);
        cr_assert_eq(found->opened, opened[stack], "seed %u, step %u: opened", seed, step);
        cr_assert_eq(found->open, open[stack], "seed %u, step %u: open", seed, step);
        cr_assert_eq(found->closed, opened[stack] - open[stack], "seed %u, step %u: closed", seed, step);
        cr_assert_eq(found->bytes_open, pages[stack] * PAGE, "seed %u, step %u: bytes", seed, step);
    }
}

static void random_step(unsigned *seed)
{
    uint64_t page = (uint64_t)rand_r(seed) % (MODEL_PAGES / 2), pages = 1 + (uint64_t)rand_r(seed) % 12;
    uint64_t to = MODEL_PAGES / 2 + (uint64_t)rand_r(seed) % 8;
    uint64_t grown = pages + (uint64_t)rand_r(seed) % 5;
    uint32_t stack = 1 + (uint32_t)rand_r(seed) % MODEL_SITES;
    switch (rand_r(seed) % 4) {
    case 0:
        mapping(STRAY_OPEN, page, pages, stack);
        model_map(page, pages, stack);
        break;
    case 1:
        mapping(STRAY_CLOSE, page, pages, 0);
        model_unmap(page, pages);
        break;
    case 2:
        mapping(STRAY_RESIZE, page, pages, 0);
        for (uint64_t i = 1; i < pages && owner[page]; i++)
            owner[page + i] = owner[page];
        break;
    default:
        mapping(STRAY_MOVE_FROM, page, pages, 0);
        mapping(STRAY_MOVE_TO, to, grown, 0);
        model_move(page, to, pages, grown);
        break;
    }
}

Test(mapping_lives, mappings_are_exact_to_the_page)
{
    for (unsigned round = 1; round <= 40; round++) {
        unsigned seed = round;
        memset(owner, 0, sizeof(owner));
        mapped_count = 0;
        for (unsigned step = 0; step < 500; step++) {
            random_step(&seed);
            compare_with_model(round, step);
        }
        feed_close_all(&feed);
        feed_open(&feed);
    }
}
