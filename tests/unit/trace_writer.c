/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace_writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "record/columns.h"
#include "stray/wire.h"

#define SPOOL_SLACK 4096 /* capacities of a spool's areas exceed what is used */

static void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void *make_room(void *array, size_t *room, size_t needed, size_t unit)
{
    if (needed <= *room)
        return array;
    *room = needed > 2 * *room ? needed : 2 * *room;
    return need(realloc(array, *room * unit));
}

static void bytes_add(struct bytes *bytes, const void *data, size_t size)
{
    bytes->data = make_room(bytes->data, &bytes->room, bytes->size + size + 1, 1);
    if (data && size > 0)
        memcpy(bytes->data + bytes->size, data, size);
    else
        memset(bytes->data + bytes->size, 0, size);
    bytes->size += size;
}

struct trace_writer *writer_new(void)
{
    struct trace_writer *writer = need(calloc(1, sizeof(*writer)));
    memcpy(writer->header.magic, STRAY_TRACE_MAGIC, sizeof(writer->header.magic));
    writer->header.header_size = sizeof(writer->header);
    writer->header.pid = 4121;
    writer->header.parent_pid = 4000;
    writer->header.clock_kind = STRAY_CLOCK_NS;
    for (size_t i = 0; i < sizeof(writer->header.trace_id); i++)
        writer->header.trace_id[i] = (uint8_t)(0xa0 + i);
    writer->spool_state = STRAY_SPOOL_LIVE;
    return writer;
}

void writer_free(struct trace_writer *writer)
{
    for (size_t i = 0; i < writer->lane_count; i++)
        free(writer->lanes[i].events);
    free(writer->lanes);
    free(writer->nodes);
    free(writer->area.data);
    free(writer->frames.data);
    free(writer);
}

static struct writer_lane *lane_get(struct trace_writer *writer, uint32_t number)
{
    for (size_t i = 0; i < writer->lane_count; i++)
        if (writer->lanes[i].number == number)
            return &writer->lanes[i];
    writer->lanes =
        make_room(writer->lanes, &writer->lane_room, writer->lane_count + 1, sizeof(*writer->lanes));
    struct writer_lane *lane = &writer->lanes[writer->lane_count++];
    *lane = (struct writer_lane){.number = number};
    return lane;
}

void writer_event(struct trace_writer *writer, uint32_t lane, const struct stray_event *event)
{
    struct writer_lane *to = lane_get(writer, lane);
    to->events = make_room(to->events, &to->room, to->count + 1, sizeof(*to->events));
    to->events[to->count++] = *event;
}

void writer_put(struct trace_writer *writer, uint32_t lane, uint64_t time, unsigned action, unsigned resource,
                unsigned hook, uint64_t handle, uint64_t value, uint32_t stack)
{
    struct stray_event event = {.time = time,
                                .handle = handle,
                                .value = value,
                                .stack = stack,
                                .hook = (uint16_t)hook,
                                .action = (uint8_t)action,
                                .resource = (uint8_t)resource};
    writer_event(writer, lane, &event);
}

uint32_t writer_node(struct trace_writer *writer, unsigned kind, uint32_t parent, uint64_t value)
{
    writer->nodes =
        make_room(writer->nodes, &writer->node_room, writer->node_count + 1, sizeof(*writer->nodes));
    writer->nodes[writer->node_count++] =
        (struct stray_node){.value = value, .parent = parent, .kind = (uint16_t)kind};
    return (uint32_t)writer->node_count;
}

uint32_t writer_def(struct trace_writer *writer, unsigned type, const void *payload, size_t size)
{
    struct stray_def_header header = {
        .magic = STRAY_DEF_MAGIC, .type = (uint16_t)type, .size = (uint32_t)size, .epoch = writer->epoch};
    header.crc = stray_crc32c(0, &header.type, sizeof(header.type));
    header.crc = stray_crc32c(header.crc, &header.size, sizeof(header.size));
    header.crc = stray_crc32c(header.crc, payload, size);
    uint32_t id = (uint32_t)(writer->area.size / 16 + 1);
    bytes_add(&writer->area, &header, sizeof(header));
    bytes_add(&writer->area, payload, size);
    bytes_add(&writer->area, NULL, (16 - size % 16) % 16);
    return id;
}

uint32_t writer_text(struct trace_writer *writer, unsigned type, const char *text)
{
    return writer_def(writer, type, text, strlen(text) + 1);
}

uint32_t writer_process_def(struct trace_writer *writer, const struct stray_def_process *fixed,
                            const char *exe, const char *const *words)
{
    struct bytes payload = {0};
    struct stray_def_process copy = *fixed;
    for (copy.words = 0; words[copy.words];)
        copy.words++;
    bytes_add(&payload, &copy, sizeof(copy));
    bytes_add(&payload, exe, strlen(exe) + 1);
    for (; *words; words++)
        bytes_add(&payload, *words, strlen(*words) + 1);
    uint32_t id = writer_def(writer, STRAY_DEF_PROCESS, payload.data, payload.size);
    free(payload.data);
    return id;
}

uint32_t writer_process(struct trace_writer *writer, uint64_t start_time, const char *exe,
                        const char *const *words)
{
    struct stray_def_process fixed = {
        .start_realtime_ns = UINT64_C(1700000000000000000),
        .start_monotonic_ns = UINT64_C(5000000000),
        .start_time = start_time,
        .starttime_ticks = 123,
        .pid = writer->header.pid,
        .parent_pid = writer->header.parent_pid,
    };
    return writer_process_def(writer, &fixed, exe, words);
}

uint32_t writer_module(struct trace_writer *writer, const struct stray_def_module *fixed,
                       const void *build_id, const char *path)
{
    struct bytes payload = {0};
    bytes_add(&payload, fixed, sizeof(*fixed));
    bytes_add(&payload, build_id, fixed->build_id_size);
    bytes_add(&payload, path, strlen(path) + 1);
    uint32_t id = writer_def(writer, STRAY_DEF_MODULE, payload.data, payload.size);
    free(payload.data);
    return id;
}

uint32_t writer_code(struct trace_writer *writer, const char *filename, const char *name, uint32_t first_line,
                     unsigned minor, const void *table, uint32_t table_size)
{
    struct bytes payload = {0};
    struct stray_def_code fixed = {.first_line = first_line,
                                   .minor = (uint16_t)minor,
                                   .table_size = table_size,
                                   .name_size = (uint32_t)strlen(name)};
    bytes_add(&payload, &fixed, sizeof(fixed));
    bytes_add(&payload, filename, strlen(filename) + 1);
    bytes_add(&payload, name, strlen(name) + 1);
    bytes_add(&payload, table, table_size);
    uint32_t id = writer_def(writer, STRAY_DEF_CODE, payload.data, payload.size);
    free(payload.data);
    return id;
}

uint8_t *writer_encode(const struct stray_event *events, size_t count, uint64_t first_time, size_t *ret_size)
{
    uint8_t *plain = need(malloc(count * (2 + 5 * STRAY_VARINT_MAX) + 1)), *out = plain;
    uint64_t time = first_time, stack = 0, handle = 0;
    for (size_t i = 0; i < count; i++)
        *out++ = events[i].action;
    for (size_t i = 0; i < count; i++)
        *out++ = events[i].resource;
    for (size_t i = 0; i < count; i++)
        out = stray_varint_put(out, events[i].hook);
    for (size_t i = 0; i < count; time = events[i++].time)
        out = stray_varint_put(out, stray_zigzag(events[i].time - time));
    for (size_t i = 0; i < count; stack = events[i++].stack)
        out = stray_varint_put(out, stray_zigzag(events[i].stack - stack));
    for (size_t i = 0; i < count; handle = events[i++].handle)
        out = stray_varint_put(out, stray_zigzag(events[i].handle - handle));
    for (size_t i = 0; i < count; i++)
        out = stray_varint_put(out, events[i].value);
    *ret_size = (size_t)(out - plain);
    return plain;
}

void writer_frame(struct trace_writer *writer, struct stray_frame_header header, const void *plain,
                  size_t size)
{
    size_t room = ZSTD_compressBound(size), stored = size;
    void *packed = need(malloc(room + 1));
    if (header.codec == STRAY_CODEC_ZSTD)
        stored = ZSTD_compress(packed, room, plain, size, 1);
    const void *payload = header.codec == STRAY_CODEC_ZSTD ? packed : plain;
    header.magic = STRAY_FRAME_MAGIC;
    header.stored_size = (uint32_t)stored;
    header.plain_size = (uint32_t)size;
    header.crc = stray_crc32c(0, &header, offsetof(struct stray_frame_header, crc));
    header.crc = stray_crc32c(header.crc, payload, stored);
    bytes_add(&writer->frames, &header, sizeof(header));
    bytes_add(&writer->frames, payload, stored);
    free(packed);
}

static uint8_t codec(const struct trace_writer *writer)
{
    return writer->raw ? STRAY_CODEC_RAW : STRAY_CODEC_ZSTD;
}

/* The frame's events by kind, with exact times. */
static uint8_t *encode_grouped(const struct stray_event *events, size_t count, struct stray_frame_header *header,
                               size_t *ret_size)
{
    static struct columns columns;
    uint8_t *plain = need(malloc(COLUMNS_BYTES_MAX));
    header->type = STRAY_FRAME_GROUPED;
    *ret_size = (size_t)(columns_of_events(&columns, events, (uint32_t)count, 0, header, plain) - plain);
    return plain;
}

void writer_events_frame(struct trace_writer *writer, uint32_t lane, uint64_t sequence,
                         const struct stray_event *events, size_t count)
{
    struct stray_frame_header header = {.type = STRAY_FRAME_EVENTS,
                                        .codec = codec(writer),
                                        .lane = lane,
                                        .count = (uint32_t)count,
                                        .first = sequence};
    header.first_time = count ? UINT64_MAX : 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].time < header.first_time)
            header.first_time = events[i].time;
        if (events[i].time > header.last_time)
            header.last_time = events[i].time;
    }
    size_t size;
    uint8_t *plain = writer->grouped ? encode_grouped(events, count, &header, &size)
                                     : writer_encode(events, count, header.first_time, &size);
    writer_frame(writer, header, plain, size);
    free(plain);
}

static void flush_indexed(struct trace_writer *writer)
{
    static struct columns columns;
    uint8_t plain[COLUMNS_BYTES_MAX];
    for (size_t done = writer->nodes_flushed, part; done < writer->node_count; done += part) {
        part = writer->node_count - done < COLUMNS_NODES_MAX ? writer->node_count - done : COLUMNS_NODES_MAX;
        struct stray_frame_header header = {.type = STRAY_FRAME_INDEXED, .codec = codec(writer),
                                            .count = (uint32_t)part, .first = done + 1};
        uint8_t *end =
            columns_of_nodes(&columns, writer->nodes + done, (uint32_t)part, (uint32_t)done + 1, plain);
        writer_frame(writer, header, plain, (size_t)(end - plain));
    }
}

void writer_flush_areas(struct trace_writer *writer)
{
    size_t defs = writer->area.size - writer->area_flushed,
           nodes = writer->node_count - writer->nodes_flushed;
    struct stray_frame_header header = {.codec = codec(writer)};
    if (defs > 0) {
        header.type = STRAY_FRAME_DEFS;
        header.first = writer->area_flushed;
        writer_frame(writer, header, writer->area.data + writer->area_flushed, defs);
    }
    if (writer->grouped) {
        flush_indexed(writer);
    } else if (nodes > 0) {
        header.type = STRAY_FRAME_NODES;
        header.first = writer->nodes_flushed + 1;
        header.count = (uint32_t)nodes;
        writer_frame(writer, header, writer->nodes + writer->nodes_flushed, nodes * sizeof(*writer->nodes));
    }
    writer->area_flushed = writer->area.size;
    writer->nodes_flushed = writer->node_count;
}

void writer_flush_lane(struct trace_writer *writer, uint32_t number)
{
    struct writer_lane *lane = lane_get(writer, number);
    size_t most = number == STRAY_LANE_LATE ? 1 : STRAY_LANE_EVENTS;
    for (size_t done = 0, part; done < lane->count; done += part) {
        part = lane->count - done < most ? lane->count - done : most;
        writer_events_frame(writer, number, lane->sequence++, lane->events + done, part);
    }
    lane->count = 0;
}

void writer_flush(struct trace_writer *writer)
{
    writer_flush_areas(writer);
    for (size_t i = 0; i < writer->lane_count; i++)
        writer_flush_lane(writer, writer->lanes[i].number);
}

void writer_end(struct trace_writer *writer, uint32_t lane, uint64_t time)
{
    writer_put(writer, lane, time, STRAY_END, 0, 0, 0, STRAY_ENDING_EXIT, 0);
    writer_flush_areas(writer);
    for (size_t i = 0; i < writer->lane_count; i++)
        if (writer->lanes[i].number != lane)
            writer_flush_lane(writer, writer->lanes[i].number);
    writer_flush_lane(writer, lane);
}

uint8_t *writer_bytes(const struct trace_writer *writer, size_t *ret_size)
{
    struct bytes out = {0};
    struct stray_file_header header = writer->header;
    header.incompat_flags |= writer->grouped ? STRAY_INCOMPAT_GROUPED : 0;
    header.crc = stray_crc32c(0, &header, offsetof(struct stray_file_header, crc));
    bytes_add(&out, &header, sizeof(header));
    bytes_add(&out, writer->frames.data, writer->frames.size);
    *ret_size = out.size;
    return out.data;
}

static void spool_lane(struct stray_lane *to, const struct writer_lane *from)
{
    to->number = from->number;
    to->owner = 1;
    to->active = from->sequence % 2;
    to->buffer[to->active].sequence = from->sequence;
    to->buffer[to->active].used = from->count;
    to->buffer[!to->active].sequence = from->sequence + 1;
    size_t count = from->count < STRAY_LANE_EVENTS ? from->count : STRAY_LANE_EVENTS;
    if (count > 0)
        memcpy(to->events[to->active], from->events, count * sizeof(*from->events));
}

static uint64_t page_up(uint64_t size)
{
    return (size + STRAY_PAGE - 1) / STRAY_PAGE * STRAY_PAGE;
}

static struct stray_spool_header spool_header(const struct trace_writer *writer)
{
    struct stray_spool_header header = {
        .header_size = STRAY_PAGE,
        .state = writer->spool_state,
        .nodes_offset = STRAY_PAGE,
        .nodes_capacity = writer->node_count + SPOOL_SLACK,
        .defs_capacity = page_up(writer->area.size + SPOOL_SLACK),
        .lanes_capacity = writer->lane_count + 1,
        .node_count = writer->node_count,
        .defs_used = writer->area.size,
        .lane_count = writer->lane_count,
        .lost_events = writer->spool_lost,
    };
    memcpy(header.magic, STRAY_SPOOL_MAGIC, sizeof(header.magic));
    memcpy(header.trace_id, writer->header.trace_id, sizeof(header.trace_id));
    header.defs_offset = page_up(header.nodes_offset + header.nodes_capacity * sizeof(struct stray_node));
    header.lanes_offset = header.defs_offset + header.defs_capacity;
    return header;
}

uint8_t *writer_spool_bytes(const struct trace_writer *writer, size_t *ret_size)
{
    struct stray_spool_header header = spool_header(writer);
    size_t size = header.lanes_offset + header.lanes_capacity * sizeof(struct stray_lane);
    uint8_t *bytes = need(calloc(1, size));
    memcpy(bytes, &header, sizeof(header));
    if (writer->node_count > 0)
        memcpy(bytes + header.nodes_offset, writer->nodes, writer->node_count * sizeof(*writer->nodes));
    if (writer->area.size > 0)
        memcpy(bytes + header.defs_offset, writer->area.data, writer->area.size);
    struct stray_lane *lanes = (void *)(bytes + header.lanes_offset);
    for (size_t i = 0; i < writer->lane_count; i++)
        spool_lane(&lanes[i], &writer->lanes[i]);
    *ret_size = size;
    return bytes;
}

void writer_save_bytes(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd) < 0)
        abort();
}

void writer_save(const struct trace_writer *writer, const char *path)
{
    size_t size;
    uint8_t *bytes = writer_bytes(writer, &size);
    writer_save_bytes(path, bytes, size);
    free(bytes);
}

void writer_save_spool(const struct trace_writer *writer, const char *path)
{
    size_t size;
    uint8_t *bytes = writer_spool_bytes(writer, &size);
    char *name;
    if (asprintf(&name, "%s%s", path, STRAY_SPOOL_SUFFIX) < 0)
        abort();
    writer_save_bytes(name, bytes, size);
    free(name);
    free(bytes);
}
