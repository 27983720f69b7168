/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Builds traces and spools for tests, byte for byte as FORMAT.md says, without the shim. It checks nothing:
 * tests also want traces that are wrong. Out of memory ends the test.
 *
 * A trace is built in memory: events, nodes and definitions are collected and become frames when flushed.
 * What has not been flushed goes into the spool, as it would in a traced process.
 *
 *     struct trace_writer *writer = writer_new();
 *     writer_process(writer, 1000, "/bin/app", (const char *const[]){"app", "-v", NULL});
 *     uint32_t root = writer_node(writer, STRAY_NODE_ROOT, 0, 0);
 *     writer_put(writer, 0, 1100, STRAY_OPEN, STRAY_HEAP, STRAY_HOOK_malloc, 0x5000, 64, root);
 *     writer_end(writer, 0, 1200);
 *     writer_save(writer, path);
 *     writer_free(writer);
 */
#ifndef STRAY_TRACE_WRITER_H
#define STRAY_TRACE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stray/format.h"
#include "stray/hooks.h"

struct bytes {
    uint8_t *data;
    size_t size, room;
};

struct writer_lane {
    uint32_t number;
    uint64_t sequence; /* of the next frame */
    struct stray_event *events;
    size_t count, room;
};

struct trace_writer {
    struct stray_file_header
        header;           /* may be changed until the bytes are asked for; its checksum is then made */
    bool raw;             /* frames are stored uncompressed */
    bool grouped;         /* frames are GROUPED and INDEXED, as the shim writes them */
    uint32_t epoch;       /* of the definitions to come */
    uint32_t spool_state; /* enum stray_spool_state */
    uint64_t spool_lost;  /* lost_events of the spool */
    struct bytes frames;
    struct bytes area; /* definitions */
    size_t area_flushed;
    struct stray_node *nodes;
    size_t node_count, node_room, nodes_flushed;
    struct writer_lane *lanes;
    size_t lane_count, lane_room;
};

/* A trace of pid 4121, child of 4000, with a clock of nanoseconds and nothing in it. */
struct trace_writer *writer_new(void);
void writer_free(struct trace_writer *writer);

void writer_event(struct trace_writer *writer, uint32_t lane, const struct stray_event *event);
void writer_put(struct trace_writer *writer, uint32_t lane, uint64_t time, unsigned action, unsigned resource,
                unsigned hook, uint64_t handle, uint64_t value, uint32_t stack);

/* Returns the node's id. */
uint32_t writer_node(struct trace_writer *writer, unsigned kind, uint32_t parent, uint64_t value);

/* Definitions; all return the definition's id. */
uint32_t writer_def(struct trace_writer *writer, unsigned type, const void *payload, size_t size);
uint32_t writer_text(struct trace_writer *writer, unsigned type, const char *text);
/* A process of the header's pid that started at `start_time`; `words` is NULL-ended. Its boot id is that of
 * no host. */
uint32_t writer_process(struct trace_writer *writer, uint64_t start_time, const char *exe,
                        const char *const *words);
uint32_t writer_process_def(struct trace_writer *writer, const struct stray_def_process *fixed,
                            const char *exe, const char *const *words);
uint32_t writer_module(struct trace_writer *writer, const struct stray_def_module *fixed,
                       const void *build_id, const char *path);
uint32_t writer_code(struct trace_writer *writer, const char *filename, const char *name, uint32_t first_line,
                     unsigned minor, const void *table, uint32_t table_size);

/* Flushes: new nodes and definitions each become a frame; a lane's events one frame of at most 1024 each. */
void writer_flush_areas(struct trace_writer *writer);
void writer_flush_lane(struct trace_writer *writer, uint32_t lane);
void writer_flush(struct trace_writer *writer);

/* A frame of one's own making. Sizes and checksum are filled in; codec and all else are the caller's. */
void writer_frame(struct trace_writer *writer, struct stray_frame_header header, const void *plain,
                  size_t size);
/* The frame of `events` under a given number. */
void writer_events_frame(struct trace_writer *writer, uint32_t lane, uint64_t sequence,
                         const struct stray_event *events, size_t count);
/* Only the encoding: an EVENTS payload, to be freed with free(). */
uint8_t *writer_encode(const struct stray_event *events, size_t count, uint64_t first_time, size_t *ret_size);

/* An END event (exit status 0), then a flush of everything, its lane last. */
void writer_end(struct trace_writer *writer, uint32_t lane, uint64_t time);

/* The trace, or the spool of what was not flushed; to be freed with free(). */
uint8_t *writer_bytes(const struct trace_writer *writer, size_t *ret_size);
uint8_t *writer_spool_bytes(const struct trace_writer *writer, size_t *ret_size);

/* Writes the trace to `path`, the spool to `path`.spool, or any bytes. */
void writer_save(const struct trace_writer *writer, const char *path);
void writer_save_spool(const struct trace_writer *writer, const char *path);
void writer_save_bytes(const char *path, const void *bytes, size_t size);

#endif
