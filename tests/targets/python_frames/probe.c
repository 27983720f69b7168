/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loaded into an interpreter by scenarios.py, preloaded or by ctypes: says what the capture of Python frames
 * sees there.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "defs_arena.h"
#include "names/python_code.h"
#include "stack/merge_frames.h"
#include "stack/python.h"
#include "stray/format.h"

#define EXPORT     __attribute__((visibility("default")))
#define MAX_FRAMES 1024

EXPORT int probe_active(void);
EXPORT void probe_detect(void);
EXPORT void probe_suspend(void);
EXPORT const char *probe_note(void);
EXPORT int probe_finalizing(void);
EXPORT int probe_text(char *text, size_t size, uint64_t *keys, size_t capacity);
EXPORT int probe_truncates(size_t capacity);
EXPORT int probe_foreign_thread(void);
EXPORT uint32_t probe_definitions(void);
EXPORT void probe_forget(void);
EXPORT double probe_cost(unsigned rounds);
EXPORT const char *probe_merge(void);

__attribute__((constructor)) void probe_detect(void)
{
    python_detect();
}

void probe_suspend(void)
{
    python_suspend();
}

int probe_active(void)
{
    return python_active();
}

const char *probe_note(void)
{
    return python_note();
}

int probe_finalizing(void)
{
    return python_finalizing();
}

uint32_t probe_definitions(void)
{
    return defs_arena_count();
}

void probe_forget(void)
{
    defs_arena_clear();
    python_forget_definitions();
}

static int frame_text(const struct python_frame *frame, char *text, size_t size)
{
    size_t payload_size;
    const uint8_t *payload = defs_arena_payload(python_code_id(frame->code), &payload_size);
    if (!payload)
        return snprintf(text, size, "?|?|0\n");
    struct stray_def_code head;
    memcpy(&head, payload, sizeof(head));
    struct code code = {.first_line = head.first_line, .minor = head.minor, .table_size = head.table_size};
    code.filename = (const char *)payload + sizeof(head);
    code.name = code.filename + strlen(code.filename) + 1;
    code.table = (const uint8_t *)code.name + head.name_size + 1;
    if (code.table + code.table_size != payload + payload_size || code.name[head.name_size] != 0)
        return snprintf(text, size, "malformed|definition|0\n");
    return snprintf(text, size, "%s|%s|%u\n", code.filename, code.name, python_line(&code, frame->offset));
}

/* A line for each frame: file, name, line. Returns how many frames, -1 if not all of it fits. */
int probe_text(char *text, size_t size, uint64_t *keys, size_t capacity)
{
    static __thread struct python_frame frames[MAX_FRAMES];
    bool truncated;
    size_t count = python_capture(frames, MAX_FRAMES, &truncated), filled = 0;
    if (truncated || count > capacity)
        return -1;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        keys[i] = frames[i].key;
        filled += (size_t)frame_text(&frames[i], text + filled, size - filled);
        if (filled >= size)
            return -1;
    }
    return (int)count;
}

int probe_truncates(size_t capacity)
{
    struct python_frame frames[MAX_FRAMES];
    bool truncated;
    size_t count = python_capture(frames, capacity, &truncated);
    return truncated ? (int)count : -1;
}

static void *capture_in_thread(void *context)
{
    struct python_frame frames[4];
    bool truncated;
    *(size_t *)context = python_capture(frames, 4, &truncated);
    return NULL;
}

/* How many frames a thread has that Python knows nothing of; -1: no such thread. */
int probe_foreign_thread(void)
{
    pthread_t thread;
    size_t count = 0;
    if (pthread_create(&thread, NULL, capture_in_thread, &count) != 0)
        return -1;
    pthread_join(thread, NULL);
    return (int)count;
}

/* Nanoseconds for one capture. */
double probe_cost(unsigned rounds)
{
    static __thread struct python_frame frames[MAX_FRAMES];
    struct timespec begin, end;
    bool truncated;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned i = 0; i < rounds; i++)
        python_capture(frames, MAX_FRAMES, &truncated);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / rounds;
}

static size_t unwind(struct native_frame *frames, size_t capacity)
{
    unw_context_t context;
    unw_cursor_t cursor;
    size_t count = 0;
    unw_getcontext(&context);
    unw_init_local(&cursor, &context);
    while (count < capacity) {
        unw_word_t ip, sp;
        unw_get_reg(&cursor, UNW_REG_IP, &ip);
        frames[count].ip = ip;
        frames[count].cfa = 0;
        count++;
        if (unw_step(&cursor) <= 0)
            break;
        unw_get_reg(&cursor, UNW_REG_SP, &sp);
        frames[count - 1].cfa = sp;
    }
    return count;
}

static size_t count_native(const struct merged_frame *merged, size_t count)
{
    size_t native = 0;
    for (size_t i = 0; i < count; i++)
        native += !merged[i].python;
    return native;
}

/* Whether the lists say the same. */
static bool same_order(const struct merged_frame *a, const struct merged_frame *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (a[i].python != b[i].python || a[i].index != b[i].index)
            return false;
    return true;
}

/* Merges this thread's real frames, by addresses and by order. NULL: as it should be. */
const char *probe_merge(void)
{
    static __thread struct native_frame native[4 * MAX_FRAMES];
    static __thread struct python_frame python[MAX_FRAMES];
    static __thread struct merge_run runs[MAX_FRAMES];
    static __thread struct merged_frame merged[5 * MAX_FRAMES], counted[5 * MAX_FRAMES];
    bool truncated;
    size_t python_count = python_capture(python, MAX_FRAMES, &truncated), run_count = 0;
    for (size_t i = 0; i < python_count; i++)
        run_count += python[i].entry;
    if (truncated || run_count == 0 || !python[python_count - 1].entry)
        return "the last frame ends no run";
    struct merge_input input = {.native = native,
                                .python = python,
                                .python_count = python_count,
                                .runs = runs,
                                .evaluator = python_evaluator(),
                                .stack = (uint64_t)__builtin_frame_address(0)};
    input.native_count = unwind(native, 4 * MAX_FRAMES);
    size_t count = merge_frames(&input, merged, 5 * MAX_FRAMES);
    if (count - python_count != count_native(merged, count) ||
        count_native(merged, count) + run_count != input.native_count)
        return "not every run stands in for one native frame";
    for (size_t i = 0; i < count; i++)
        if (!merged[i].python && native[merged[i].index].ip - input.evaluator.start < input.evaluator.size)
            return "an evaluator without its run";
    for (size_t i = 0; i < input.native_count; i++)
        native[i].cfa = 0;
    if (merge_frames(&input, counted, 5 * MAX_FRAMES) != count || !same_order(merged, counted, count))
        return "the order by addresses is not that by counting";
    return NULL;
}
