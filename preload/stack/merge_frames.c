/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/merge_frames.h"

struct merge {
    const struct merge_input *input;
    bool by_host;
    struct merged_frame *merged;
    size_t count, capacity;
};

static void emit(struct merge *merge, bool python, size_t index)
{
    if (merge->count < merge->capacity)
        merge->merged[merge->count++] = (struct merged_frame){python, (uint32_t)index};
}

/* One past the run that begins at `start`. */
static size_t run_end(const struct merge *merge, size_t start)
{
    size_t end = start;
    while (end < merge->input->python_count && !merge->input->python[end].entry)
        end++;
    return end < merge->input->python_count ? end + 1 : end;
}

static bool contains(const struct merge *merge, size_t native, uint64_t host)
{
    uint64_t outer = merge->input->native[native].cfa;
    uint64_t inner = native ? merge->input->native[native - 1].cfa : merge->input->stack;
    return outer != 0 && inner != 0 && host >= inner && host < outer;
}

/* A return address may stand right behind the evaluator, never at its start. */
static bool is_evaluator(const struct merge *merge, size_t native)
{
    return merge->input->native[native].ip - 1 - merge->input->evaluator.start < merge->input->evaluator.size;
}

/* The end of the outermost Python frames, from `start` on, that belong to this native frame or further in;
 * `start` if it hosts none. */
static size_t hosted_until(const struct merge *merge, size_t native, size_t start)
{
    if (start == merge->input->python_count)
        return start;
    size_t end = run_end(merge, start);
    /* The last run of a truncated list has lost its host. */
    if (!merge->by_host || merge->input->python[end - 1].host == 0)
        return is_evaluator(merge, native) ? end : start;
    size_t until = start;
    for (size_t run = start; run < merge->input->python_count; run = end) {
        end = run_end(merge, run);
        uint64_t host = merge->input->python[end - 1].host;
        if (host != 0 && contains(merge, native, host))
            until = end;
    }
    return until;
}

static bool any_host_known(const struct merge *merge)
{
    for (size_t run = 0; run < merge->input->python_count;) {
        run = run_end(merge, run);
        for (size_t i = 0; merge->input->python[run - 1].host != 0 && i < merge->input->native_count; i++)
            if (contains(merge, i, merge->input->python[run - 1].host))
                return true;
    }
    return false;
}

size_t merge_frames(const struct merge_input *input, struct merged_frame *merged, size_t capacity)
{
    struct merge merge = {.input = input, .merged = merged, .capacity = capacity};
    merge.by_host = any_host_known(&merge);
    size_t next = 0;
    for (size_t i = 0; i < input->native_count; i++) {
        size_t until = hosted_until(&merge, i, next);
        if (until == next)
            emit(&merge, false, i);
        for (; next < until; next++)
            emit(&merge, true, next);
    }
    for (; next < input->python_count; next++)
        emit(&merge, true, next);
    return merge.count;
}
