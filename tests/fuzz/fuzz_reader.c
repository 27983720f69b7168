/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a trace with its spool. Input: 4 bytes (little-endian) that say how many of the rest are the
 * trace; what is left is the spool. Checksums of frames are made right in two of three inputs (as the trace's
 * length says), so that what lies behind them is reached as well.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "read/merge.h"
#include "read/trace.h"
#include "stray/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* So that no reading is optimised away. */
static volatile uint64_t touched;

static char trace_name[64], spool_name[80];

static void clean_up(void)
{
    unlink(trace_name);
    unlink(spool_name);
}

static void choose_names(void)
{
    if (trace_name[0])
        return;
    snprintf(trace_name, sizeof(trace_name), "/dev/shm/stray-fuzz-%ld.stray", (long)getpid());
    snprintf(spool_name, sizeof(spool_name), "%s%s", trace_name, STRAY_SPOOL_SUFFIX);
    atexit(clean_up);
}

static void write_file(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "w");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static void repair(uint8_t *bytes, size_t size)
{
    struct stray_file_header file;
    struct stray_frame_header frame;
    if (size < sizeof(file))
        return;
    memcpy(&file, bytes, sizeof(file));
    file.crc = stray_crc32c(0, &file, offsetof(struct stray_file_header, crc));
    memcpy(bytes, &file, sizeof(file));
    for (size_t at = sizeof(file); at + sizeof(frame) <= size; at += sizeof(frame) + frame.stored_size) {
        memcpy(&frame, bytes + at, sizeof(frame));
        if (frame.stored_size > size - at - sizeof(frame))
            return;
        frame.crc = stray_crc32c(0, &frame, offsetof(struct stray_frame_header, crc));
        frame.crc = stray_crc32c(frame.crc, bytes + at + sizeof(frame), frame.stored_size);
        memcpy(bytes + at, &frame, sizeof(frame));
    }
}

/* Every pointer that is handed out is followed. */
static uint64_t touch(const struct trace *trace, const struct stray_event *event)
{
    const char *endpoint = trace_endpoint(trace, event->value);
    const struct stray_node *node = trace_node(trace, event->stack);
    const struct code *code = trace_code(trace, (uint32_t)event->value);
    uint64_t sum = endpoint ? strlen(endpoint) : 0;
    for (uint32_t last = UINT32_MAX; node; node = trace_node(trace, node->parent)) {
        if (node->parent >= last)
            abort(); /* a circle */
        last = node->parent;
        sum += node->value;
    }
    if (code)
        sum += strlen(code->filename) + strlen(code->name) +
               (code->table_size ? code->table[code->table_size - 1] : 0);
    return sum;
}

static uint64_t touch_tables(const struct trace *trace)
{
    const struct module *modules;
    const char *const *texts;
    uint64_t sum = 0;
    for (size_t count = trace_modules(trace, &modules), i = 0; i < count; i++)
        sum += strlen(modules[i].path) +
               (modules[i].build_id ? modules[i].build_id[modules[i].build_id_size - 1] : 0);
    for (size_t count = trace_notes(trace, &texts), i = 0; i < count; i++)
        sum += strlen(texts[i]);
    for (size_t count = trace_options(trace, &texts), i = 0; i < count; i++)
        sum += strlen(texts[i]);
    for (const char *const *word = trace_process(trace)->command; word && *word; word++)
        sum += strlen(*word);
    return sum;
}

static void read_all(struct trace *trace)
{
    struct merge *merge;
    struct stray_event event;
    uint32_t lane, thread;
    uint64_t last = 0;
    uint64_t sum = touch_tables(trace);
    if (merge_open(trace, &merge, NULL) < 0)
        return;
    while (merge_next(merge, &event, &lane, &thread) > 0) {
        if (event.time < last)
            abort(); /* out of order */
        last = event.time;
        sum += touch(trace, &event);
    }
    merge_close(merge);
    touched = sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t length;
    struct trace *trace;
    if (size < sizeof(length))
        return 0;
    choose_names();
    memcpy(&length, data, sizeof(length));
    data += sizeof(length);
    size -= sizeof(length);
    size_t trace_size = length < size ? length : size;
    uint8_t *bytes = malloc(size + 1);
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    if (length % 3)
        repair(bytes, trace_size);
    write_file(trace_name, bytes, trace_size);
    write_file(spool_name, bytes + trace_size, size - trace_size);
    free(bytes);
    if (trace_open(trace_name, &trace, NULL) < 0)
        return 0;
    read_all(trace);
    trace_close(trace);
    return 0;
}
