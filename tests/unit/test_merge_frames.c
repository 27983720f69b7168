/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stacks are written as words: native frames n0, n1 ..., Python frames p0, p1 ... */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "stack/merge_frames.h"

#define EVAL 0x1010 /* inside of the evaluator, which is at 0x1000 */
#define CODE 0x9000 /* elsewhere */

static uint64_t stack = 0x10; /* every test is a process of its own */

static const char *merged_text(const struct native_frame *native, size_t native_count,
                               const struct python_frame *python, size_t python_count, size_t capacity)
{
    static char text[512];
    struct merged_frame merged[64];
    struct merge_run runs[8];
    struct merge_input input = {.runs = runs,
                                .native = native,
                                .native_count = native_count,
                                .python = python,
                                .python_count = python_count,
                                .evaluator = {0x1000, 0x100},
                                .stack = stack};
    size_t count = merge_frames(&input, merged, capacity);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%c%u", i ? " " : "",
                 merged[i].python ? 'p' : 'n', merged[i].index);
    return text;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define EXPECT(native, python, text)                                                                         \
    cr_expect_str_eq(merged_text(native, COUNT(native), python, COUNT(python), 64), text)

Test(merge_frames, runs_replace_their_evaluators_by_address)
{
    struct native_frame native[] = {
        {CODE, 0x100}, {EVAL, 0x200}, {CODE, 0x300}, {EVAL, 0x400}, {CODE, 0x500}};
    struct python_frame python[] = {
        {.key = 1}, {.entry = true, .host = 0x180}, {.entry = true, .host = 0x3f8}};
    EXPECT(native, python, "n0 p0 p1 n2 p2 n4");
}

/* A cold part of the evaluator is not in its range; a foreign native frame in the range hosts nothing. */
Test(merge_frames, addresses_go_before_code_ranges)
{
    struct native_frame native[] = {{EVAL, 0x100}, {CODE, 0x200}, {CODE, 0x300}};
    struct python_frame python[] = {{.entry = true, .host = 0x100}};
    EXPECT(native, python, "n0 p0 n2");
}

Test(merge_frames, without_addresses_the_order_counts)
{
    struct native_frame native[] = {{CODE, 0}, {EVAL, 0}, {CODE, 0}, {EVAL, 0}, {CODE, 0}};
    struct python_frame python[] = {{.entry = true}, {.entry = true}};
    EXPECT(native, python, "n0 p0 n2 p1 n4");
}

Test(merge_frames, return_address_behind_the_evaluator_is_inside)
{
    struct native_frame native[] = {{0x1000, 0}, {0x1100, 0}};
    struct python_frame python[] = {{.entry = true}};
    EXPECT(native, python, "n0 p0");
}

Test(merge_frames, more_runs_than_evaluators_loses_nothing)
{
    struct native_frame native[] = {{CODE, 0}, {EVAL, 0}};
    struct python_frame python[] = {{.entry = true}, {.entry = true}, {.key = 3}};
    EXPECT(native, python, "n0 p0 p1 p2");
}

Test(merge_frames, more_evaluators_than_runs_stay_native)
{
    struct native_frame native[] = {{CODE, 0}, {EVAL, 0}, {EVAL, 0}, {CODE, 0}};
    struct python_frame python[] = {{.entry = true}};
    EXPECT(native, python, "n0 p0 n2 n3");
}

/* Native frames cut off at a depth: the outer runs have no native frame that holds them. */
Test(merge_frames, runs_beyond_the_native_frames_follow)
{
    struct native_frame native[] = {{CODE, 0x100}, {EVAL, 0x200}};
    struct python_frame python[] = {{.entry = true, .host = 0x180}, {.entry = true, .host = 0x780}};
    EXPECT(native, python, "n0 p0 p1");
}

/* Python frames cut off: the last run has no end and no host, its evaluator is the next by its code. */
Test(merge_frames, truncated_run_takes_the_next_evaluator)
{
    struct native_frame native[] = {{EVAL, 0x100}, {CODE, 0x200}, {EVAL, 0x300}, {CODE, 0x400}};
    struct python_frame python[] = {{.entry = true, .host = 0x80}, {.key = 2}, {.key = 3}};
    EXPECT(native, python, "p0 n1 p1 p2 n3");
}

/* A handler on an alternate stack above the thread's own: its frames lie higher than those it interrupted. */
Test(merge_frames, alternate_signal_stack)
{
    stack = 0x9000;
    struct native_frame native[] = {
        {CODE, 0x9100}, {EVAL, 0x9200}, {CODE, 0x100}, {EVAL, 0x200}, {CODE, 0x300}};
    struct python_frame python[] = {{.entry = true, .host = 0x9180}, {.entry = true, .host = 0x180}};
    EXPECT(native, python, "n0 p0 n2 p1 n4");
}

/* One run that cannot be placed must not hold up those that can. */
Test(merge_frames, unplaced_run_goes_with_the_next)
{
    struct native_frame native[] = {{CODE, 0x100}, {EVAL, 0x200}, {CODE, 0x300}};
    struct python_frame python[] = {{.entry = true, .host = 0x7777}, {.entry = true, .host = 0x180}};
    EXPECT(native, python, "n0 p0 p1 n2");
}

Test(merge_frames, either_list_alone)
{
    struct native_frame native[] = {{CODE, 0x100}, {EVAL, 0x200}};
    struct python_frame python[] = {{.key = 1}, {.entry = true, .host = 0x150}};
    cr_expect_str_eq(merged_text(native, 2, python, 0, 64), "n0 n1");
    cr_expect_str_eq(merged_text(native, 0, python, 2, 64), "p0 p1");
    cr_expect_str_eq(merged_text(native, 0, python, 0, 64), "");
}

Test(merge_frames, capacity_is_kept)
{
    struct native_frame native[] = {{CODE, 0x100}, {EVAL, 0x200}, {CODE, 0x300}};
    struct python_frame python[] = {{.key = 1}, {.entry = true, .host = 0x150}};
    cr_expect_str_eq(merged_text(native, 3, python, 2, 2), "n0 p0");
}
