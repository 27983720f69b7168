/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stack/merge_frames.h"

struct merge {
    const struct merge_input *input;
    bool by_host;
    size_t run_count; /* from inside; looked at for each native frame, so they are found once */
    struct merged_frame *merged;
    size_t count, capacity;
};

static void emit(struct merge *merge, bool python, size_t index)
{
    if (merge->count < merge->capacity)
        merge->merged[merge->count++] = (struct merged_frame){python, (uint32_t)index};
}

/* One past the run that begins at `start`. */
static size_t run_end(const struct merge_input *input, size_t start)
{
    size_t end = start;
    while (end < input->python_count && !input->python[end].entry)
        end++;
    return end < input->python_count ? end + 1 : end;
}

static void find_runs(struct merge *merge)
{
    const struct merge_input *input = merge->input;
    for (size_t end = 0; end < input->python_count; merge->run_count++) {
        end = run_end(input, end);
        input->runs[merge->run_count] = (struct merge_run){input->python[end - 1].host, end};
    }
}

/* One past the last of the runs, from `first` on, whose hosts lie in a native frame; `first`: in this one there are none. */
static size_t hosts_until(const struct merge *merge, size_t native, size_t first)
{
    const struct native_frame *frame = &merge->input->native[native];
    uint64_t outer = frame->cfa, inner = native ? frame[-1].cfa : merge->input->stack;
    size_t until = first;
    if (inner == 0 || outer <= inner)
        return first;
    for (size_t run = first; run < merge->run_count; run++)
        if (merge->input->runs[run].host - inner < outer - inner) /* a host that is not known is 0 */
            until = run + 1;
    return until;
}

/* A return address may stand right behind the evaluator, never at its start. */
static bool is_evaluator(const struct merge *merge, size_t native)
{
    return merge->input->native[native].ip - 1 - merge->input->evaluator.start < merge->input->evaluator.size;
}

/* One past the last of the runs, from `first` on, that belong to a native frame or further in; `first` if it hosts none. */
static size_t hosted_until(const struct merge *merge, size_t native, size_t first)
{
    if (first == merge->run_count)
        return first;
    /* The last run of a truncated list has lost its host. */
    if (!merge->by_host || merge->input->runs[first].host == 0)
        return first + is_evaluator(merge, native);
    return hosts_until(merge, native, first);
}

static bool any_host_known(const struct merge *merge)
{
    size_t native = 0;
    while (native < merge->input->native_count && hosts_until(merge, native, 0) == 0)
        native++;
    return native < merge->input->native_count;
}

size_t merge_frames(const struct merge_input *input, struct merged_frame *merged, size_t capacity)
{
    struct merge merge = {.input = input, .merged = merged, .capacity = capacity};
    find_runs(&merge);
    merge.by_host = any_host_known(&merge);
    size_t run = 0, next = 0;
    for (size_t i = 0; i < input->native_count; i++) {
        size_t until = hosted_until(&merge, i, run);
        if (until == run)
            emit(&merge, false, i);
        for (; run < until; run++)
            for (; next < input->runs[run].end; next++)
                emit(&merge, true, next);
    }
    for (; next < input->python_count; next++)
        emit(&merge, true, next);
    return merge.count;
}
