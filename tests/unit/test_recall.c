/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stacks that are kept, over words of a made-up stack: found while what they depend on stands. */
#include <criterion/criterion.h>

#include "stack/recall.h"

#define FRAMES 40
#define WORDS  4 /* of a frame; the last one is its return address */

static uint64_t stack[FRAMES * WORDS];
static struct unwind_frame frames[FRAMES + 1];
static struct recall recall;

static uint64_t at(size_t word)
{
    return (uint64_t)(uintptr_t)&stack[word];
}

static struct recall_start start_of(uint64_t caller)
{
    return (struct recall_start){.caller = caller, .sp = at(0), .window = 1, .modules = 1};
}

/* Frame i takes WORDS words from i * WORDS on. */
static void keep(uint64_t caller, uint32_t node)
{
    for (size_t i = 0; i <= FRAMES; i++)
        frames[i] = (struct unwind_frame){.ip = i == 0 ? caller : 1000 + i, .sp = at(i * WORDS)};
    for (size_t i = 0; i < FRAMES; i++) {
        stack[(i + 1) * WORDS - 1] = frames[i + 1].ip;
        frames[i].check_slot = at((i + 1) * WORDS - 1);
        frames[i].check_value = frames[i + 1].ip;
    }
    struct recall_start start = start_of(caller);
    recall_keep(&recall, &start, frames, FRAMES, false, node);
}

static uint32_t find_inside(uint64_t caller, uint64_t call, size_t frame)
{
    struct recall_start start = start_of(caller);
    struct recall_call around = {call, at(frame * WORDS)};
    return recall_find_inside(&recall, &start, &around);
}

static uint64_t *return_address(size_t frame)
{
    return &stack[(frame + 1) * WORDS - 1];
}

Test(recall, all_words_count)
{
    keep(7, 5);
    struct recall_start start = start_of(7);
    cr_expect_eq(recall_find(&recall, &start), 5);
    for (size_t i = 0; i < FRAMES; i++) {
        (*return_address(i))++;
        cr_expect_eq(recall_find(&recall, &start), 0, "frame %zu", i);
        (*return_address(i))--;
    }
    cr_expect_eq(recall_find(&recall, &start), 5);
}

Test(recall, inside_a_call_its_callers_are_looked_at_once)
{
    keep(7, 5);
    cr_expect_eq(find_inside(7, 1, 10), 5);
    *return_address(FRAMES - 1) = 0; /* it cannot, before the call returns */
    cr_expect_eq(find_inside(7, 1, 10), 5);
    for (size_t i = 0; i < 10; i++) {
        (*return_address(i))++;
        cr_expect_eq(find_inside(7, 1, 10), 0, "frame %zu", i);
        (*return_address(i))--;
    }
}

Test(recall, another_call_is_looked_at_anew)
{
    keep(7, 5);
    cr_expect_eq(find_inside(7, 1, 10), 5);
    *return_address(FRAMES - 1) = 0;
    cr_expect_eq(find_inside(7, 2, 10), 0);
    cr_expect_eq(find_inside(7, 1, 10), 5);
}

Test(recall, what_takes_the_place_is_trusted_anew)
{
    keep(7, 5);
    cr_expect_eq(find_inside(7, 1, 10), 5);
    keep(7, 6);
    cr_expect_eq(find_inside(7, 1, 10), 6);
    *return_address(FRAMES - 1) = 0;
    keep(7, 8);
    *return_address(FRAMES - 1) = 0;
    cr_expect_eq(find_inside(7, 1, 10), 0);
}
