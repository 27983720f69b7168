/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* seeds FOLDER: fills FOLDER/reader and FOLDER/events with inputs to begin with. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sample.h"

static char base[512];

static void save(const char *target, const char *name, const void *bytes, size_t size)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", base, target);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        abort();
    snprintf(path, sizeof(path), "%s/%s/%s", base, target, name);
    writer_save_bytes(path, bytes, size);
}

/* A seed of the reader; the spool without its empty tail. */
static void save_trace(const char *name, struct trace_writer *writer, bool spool)
{
    size_t size, spool_size = 0;
    uint8_t *bytes = writer_bytes(writer, &size), *spool_bytes = NULL;
    if (spool)
        spool_bytes = writer_spool_bytes(writer, &spool_size);
    uint8_t *seed = malloc(4 + size + spool_size);
    uint32_t length = (uint32_t)size;
    memcpy(seed, &length, 4);
    memcpy(seed + 4, bytes, size);
    if (spool_bytes)
        memcpy(seed + 4 + size, spool_bytes, spool_size);
    save("reader", name, seed, 4 + size + spool_size);
    free(seed);
    free(spool_bytes);
    free(bytes);
    writer_free(writer);
}

static struct trace_writer *raw_sample(void)
{
    struct trace_writer *writer = writer_new();
    struct trace_writer *sample = sample_trace();
    writer->raw = true;
    writer_process(writer, 1, "/bin/a", (const char *const[]){"a", "b", NULL});
    writer_code(writer, "f.py", "C.m", 3, 11, "\x80\x01", 2);
    writer_node(writer, STRAY_NODE_ROOT, 0, 0);
    for (size_t i = 0; i < sample->node_count; i++)
        writer_node(writer, STRAY_NODE_NATIVE, (uint32_t)i + 1, i);
    writer_put(writer, 0, 1, STRAY_OPEN, STRAY_HEAP, 1, 0x10, 5, 2);
    writer_put(writer, 1, 2, STRAY_CLOSE, STRAY_HEAP, 5, 0x10, 0, 0);
    writer_end(writer, 0, 9);
    writer_free(sample);
    return writer;
}

static void save_events(void)
{
    struct stray_event events[40];
    uint8_t seed[4096];
    for (unsigned i = 0; i < 40; i++)
        events[i] = (struct stray_event){.time = 1000 + i * 3 % 50,
                                         .handle = i * 4096,
                                         .value = i * i,
                                         .stack = i % 7,
                                         .hook = (uint16_t)i,
                                         .action = 1 + i % 5,
                                         .resource = i % 4};
    for (uint16_t count = 0; count <= 40; count += 10) {
        uint64_t times[2] = {1000, 1060};
        size_t size;
        uint8_t *plain = writer_encode(events, count, times[0], &size);
        memcpy(seed, &count, 2);
        memcpy(seed + 2, times, 16);
        memcpy(seed + 18, plain, size);
        char name[16];
        snprintf(name, sizeof(name), "%u", count);
        save("events", name, seed, 18 + size);
        free(plain);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: seeds FOLDER\n", stderr);
        return 2;
    }
    snprintf(base, sizeof(base), "%s", argv[1]);
    if (mkdir(base, 0700) < 0 && errno != EEXIST)
        abort();
    save_trace("whole", sample_trace(), false);
    save_trace("unfinished", sample_unfinished(), true);
    save_trace("tiny", sample_tiny(), false);
    save_trace("raw", raw_sample(), false);
    save_events();
    return 0;
}
