/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* seeds FOLDER: fills FOLDER/reader, FOLDER/pack and so on with inputs to begin with. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "record/columns.h"
#include "sample.h"
#include "views/packing.h"

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

/* The head that fuzz_columns.c expects, before what is at `plain`. */
static void save_columns(const char *name, bool nodes, uint16_t count, uint64_t first, uint64_t last, const uint8_t *plain,
                         size_t size)
{
    static uint8_t seed[19 + COLUMNS_BYTES_MAX];
    seed[0] = nodes;
    memcpy(seed + 1, &count, 2);
    memcpy(seed + 3, &first, 8);
    memcpy(seed + 11, &last, 8);
    memcpy(seed + 19, plain, size);
    save("columns", name, seed, 19 + size);
}

static void save_grouped(void)
{
    static struct columns columns;
    static uint8_t plain[COLUMNS_BYTES_MAX];
    struct stray_event events[40];
    struct stray_node nodes[40];
    for (uint32_t i = 0; i < 40; i++) {
        events[i] = (struct stray_event){.time = 1000 + i * 3 % 50,
                                         .handle = i % 4 ? i * 4096 : (uint64_t)i << 56 | i,
                                         .value = i * i,
                                         .stack = i % 7,
                                         .hook = (uint16_t)(i % 9),
                                         .action = i % 4 ? 1 + i % 5 : STRAY_ELIDED,
                                         .resource = 1};
        nodes[i] = (struct stray_node){.value = 0x401000 + i * 7 % 50, .parent = i, .kind = STRAY_NODE_NATIVE};
    }
    for (uint16_t count = 0; count <= 40; count += 10) {
        struct stray_frame_header header = {0};
        char name[32];
        uint8_t *end = columns_of_events(&columns, events, count, count / 20, &header, plain);
        snprintf(name, sizeof(name), "events-%u", count);
        save_columns(name, false, count, header.first_time, header.last_time, plain, (size_t)(end - plain));
        end = columns_of_nodes(&columns, nodes, count, 1, plain);
        snprintf(name, sizeof(name), "nodes-%u", count);
        save_columns(name, true, count, 1, 0, plain, (size_t)(end - plain));
    }
}

static void save_pack(const char *name, struct trace_writer *writer)
{
    struct error error = {.text = ""};
    struct packing *packing;
    char *bytes, path[512];
    size_t size;
    snprintf(path, sizeof(path), "%s", sample_path("a.stray"));
    writer_save(writer, path);
    writer_save_spool(writer, path);
    writer_free(writer);
    FILE *out = open_memstream(&bytes, &size);
    if (!out || packing_make((char *[]){path}, 1, &packing, &error) < 0 || packing_write(packing, out) < 0 || fclose(out) != 0)
        abort();
    packing_free(packing);
    save("pack", name, bytes, size);
    free(bytes);
}

/* As fuzz_texts.c tells them apart. */
static void save_text(const char *name, char kind, const char *text)
{
    char seed[1024];
    snprintf(seed, sizeof(seed), "%c%s", kind, text);
    save("texts", name, seed, strlen(seed));
}

static void save_texts(void)
{
    enum { SUPPRESSIONS = '0', PAIRS, SYMBOLS };
    save_text("suppressions", SUPPRESSIONS, "# until 2026-12-31\nleak:^a*b$  # known\nconnection:*  # until 2027-01-01\npair/db:^x$\n");
    save_text("pairs", PAIRS, "db:db_open=*a1,db_open_v2=ret!0:db_close=a0@ret0\n;stmt:prepare=*a2+sa1:finalize=a0");
    save_text("symbols", SYMBOLS,
              "stray-symbols/1\nM\t0011aabb\t/usr/lib/a.so\nA\t1f0\t1e0\t\\N\nS\t12\tmain\t/src/a.c\nS\t0\ta\\tb\t\\N\n");
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
    save_trace("grouped", sample_grouped(), false);
    save_trace("raw", raw_sample(), false);
    save_events();
    save_grouped();
    save_pack("unfinished", sample_unfinished());
    save_pack("grouped", sample_grouped());
    save_texts();
    return 0;
}
