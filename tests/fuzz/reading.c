/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "read/merge.h"
#include "read/trace.h"
#include "stray/wire.h"

/* So that no reading is optimised away. */
static volatile uint64_t touched;

static const char *saved[4];

static void clean_up(void)
{
    for (size_t i = 0; i < sizeof(saved) / sizeof(*saved) && saved[i]; i++)
        unlink(saved[i]);
}

const char *reading_name(void)
{
    static char name[64];
    if (!name[0])
        snprintf(name, sizeof(name), "/dev/shm/stray-fuzz-%ld", (long)getpid());
    return name;
}

static void clean_up_later(const char *path)
{
    size_t i = 0;
    while (saved[i] && saved[i] != path)
        i++;
    if (i == 0 && !saved[0])
        atexit(clean_up);
    saved[i] = path;
}

void reading_save(const char *path, const uint8_t *bytes, size_t size)
{
    clean_up_later(path);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
}

void reading_repair(uint8_t *bytes, size_t size)
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

void reading_all(struct trace *trace)
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
