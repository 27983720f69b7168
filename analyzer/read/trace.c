/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read/columns.h"
#include "read/frame.h"
#include "read/inside.h"
#include "read/progress.h"
#include "read/stream.h"
#include "stray/wire.h"

#define HEADER_SIZE_MAX (1u << 20)

void trace_assess(struct trace *trace)
{
    struct damage *damage = &trace->damage;
    uint64_t spooled = trace->spool ? trace->spool->header.lost_events : 0;
    damage->lost_events = trace->lost_in_events > spooled ? trace->lost_in_events : spooled;
    bool kept = trace->process.running || (trace->spool && trace->spool->sound);
    if (kept)
        damage->truncated = false; /* the frame was being written; the spool holds its events still */
    damage->complete = (kept || trace->ended) && !damage->frames_damaged && !damage->bytes_skipped &&
                       !damage->frames_missing && !damage->lost_events && !damage->truncated &&
                       !damage->header_damaged && !damage->spool_damaged;
}

static bool header_sound(const struct stray_file_header *header)
{
    return memcmp(header->magic, STRAY_TRACE_MAGIC, sizeof(header->magic)) == 0 &&
           stray_crc32c(0, header, offsetof(struct stray_file_header, crc)) == header->crc &&
           header->header_size >= sizeof(*header) && header->header_size <= HEADER_SIZE_MAX;
}

static bool header_known(const struct stray_file_header *header)
{
    return !(header->incompat_flags & ~(uint32_t)STRAY_INCOMPAT_GROUPED);
}

static int header_read(struct trace *trace, struct error *error)
{
    struct stray_file_header header;
    const char *path = trace->path;
    if (trace->source.size == 0)
        return error_set(error, -EBADMSG, "%s: not a trace: the file is empty", path);
    if (source_read(&trace->source, 0, &header, sizeof(header)) < 0)
        return error_set(error, -EBADMSG, "%s: not a trace: shorter than a trace's header", path);
    if (memcmp(header.magic, STRAY_TRACE_MAGIC, sizeof(header.magic)) != 0)
        return error_set(error, -EBADMSG, "%s: not a trace", path);
    if (!header_sound(&header)) {
        trace->damage.header_damaged = true; /* the frames have checksums of their own */
        header = (struct stray_file_header){.header_size = sizeof(header)};
    }
    if (!header_known(&header))
        return error_set(error, -ENOTSUP, "%s: made by a newer version of stray (format flags 0x%x)", path,
                         header.incompat_flags);
    trace->header = header;
    return 0;
}

static int take_events(struct trace *trace, const struct stray_frame_header *header, uint64_t payload)
{
    return index_add(&trace->index, frame_of(header, payload));
}

static int take_indexed(struct trace *trace, const struct stray_frame_header *header)
{
    struct stray_node *nodes = malloc((header->count + (size_t)1) * sizeof(*nodes));
    if (!nodes)
        return -ENOMEM;
    int result = indexed_decode(trace->unpacker.plain, header->plain_size, header->count, header->first, nodes);
    if (result == 0)
        result = extents_add(&trace->nodes, header->first, nodes, header->count);
    free(nodes);
    return result;
}

static int take_area(struct trace *trace, const struct stray_frame_header *header, uint64_t payload)
{
    int result = unpack(&trace->unpacker, &trace->source, payload, header->codec, header->stored_size,
                        header->plain_size);
    if (result < 0)
        return result;
    if (header->type == STRAY_FRAME_INDEXED)
        return take_indexed(trace, header);
    if (header->type == STRAY_FRAME_NODES)
        return extents_add(&trace->nodes, header->first, trace->unpacker.plain, header->count);
    return extents_add(&trace->area, header->first, trace->unpacker.plain, header->plain_size);
}

/* Takes a sound frame in. One that makes no sense is counted and passed over. */
static int take_frame(struct trace *trace, const struct stray_frame_header *header, uint64_t payload)
{
    int result = 0;
    if (!frame_sensible(header))
        result = -EBADMSG;
    else if (frame_holds_events(header->type))
        result = take_events(trace, header, payload);
    else if (header->type == STRAY_FRAME_NODES || header->type == STRAY_FRAME_INDEXED ||
             header->type == STRAY_FRAME_DEFS)
        result = take_area(trace, header, payload);
    if (result == 0 || result == -ENOMEM)
        return result;
    trace->damage.frames_damaged++;
    damage_at(&trace->damage, payload - sizeof(*header));
    return 0;
}

static int scan_frames(struct trace *trace)
{
    struct scan scan;
    struct stray_frame_header header;
    uint64_t payload;
    int result;
    trace->index.begin = trace->index.end = trace->header.header_size;
    scan_begin(&scan, &trace->source, trace->header.header_size, &trace->damage);
    while ((result = scan_next(&scan, &header, &payload)) > 0) {
        progress_tell("checking", payload, trace->source.size);
        result = index_pass(&trace->index, payload - sizeof(header), payload + header.stored_size);
        if (result == 0)
            result = take_frame(trace, &header, payload);
        if (result < 0)
            break;
    }
    scan_end(&scan);
    progress_end();
    return result;
}

/* Sums alone are told at one time, in frames and here: they lasted from those before to the latest of them. */
static void tell_at_once(const struct spool_buffer *buffer, struct frame_info *frame)
{
    for (uint32_t i = 0; i < buffer->count; i++)
        if (buffer->events[i].action != STRAY_ELIDED)
            return;
    for (uint32_t i = 0; i < buffer->count; i++)
        buffer->events[i].time = frame->last_time;
    frame->first_time = frame->last_time;
}

static int take_buffer(struct trace *trace, const struct spool_buffer *buffer)
{
    struct frame_info frame = {
        .spooled = buffer->events,
        .sequence = buffer->sequence,
        .first_time = UINT64_MAX,
        .lane = buffer->lane,
        .count = buffer->count,
    };
    for (uint32_t i = 0; i < buffer->count; i++) {
        if (buffer->events[i].time < frame.first_time)
            frame.first_time = buffer->events[i].time;
        if (buffer->events[i].time > frame.last_time)
            frame.last_time = buffer->events[i].time;
    }
    tell_at_once(buffer, &frame);
    return index_add_spooled(&trace->index, frame);
}

static int take_spool(struct trace *trace)
{
    struct spool *spool = trace->spool;
    int result = spool_finish(spool);
    for (size_t i = 0; i < spool->buffer_count && result == 0; i++)
        result = take_buffer(trace, &spool->buffers[i]);
    if (result == 0)
        result = extents_add_all(&trace->nodes, &spool->nodes);
    if (result == 0)
        result = extents_add_all(&trace->area, &spool->defs);
    if (result == -EFBIG) {
        spool->sound = false;
        result = 0;
    }
    if (!spool->sound)
        trace->damage.spool_damaged = true;
    return result;
}

/* A spool that cannot be read at all is as good as none, but its loss is told. */
static int open_spool(struct trace *trace)
{
    size_t length = strlen(trace->path);
    char *path = malloc(length + sizeof(STRAY_SPOOL_SUFFIX));
    if (!path)
        return -ENOMEM;
    memcpy(path, trace->path, length);
    memcpy(path + length, STRAY_SPOOL_SUFFIX, sizeof(STRAY_SPOOL_SUFFIX));
    int result = spool_read(path, &trace->spool);
    free(path);
    if (result == -ENOMEM)
        return result;
    if (result < 0 && result != -ENOENT)
        trace->damage.spool_damaged = true;
    return 0;
}

/* A spool of another trace is not damage: a name may have been used before. */
static void drop_foreign_spool(struct trace *trace)
{
    const struct spool *spool = trace->spool;
    if (!spool || memcmp(spool->header.trace_id, trace->header.trace_id, sizeof(trace->header.trace_id)) == 0)
        return;
    spool_free(trace->spool);
    trace->spool = NULL;
}

/* A node that cannot be true is forgotten; one of a newer kind stands for code that is not known. */
static void nodes_validate(struct extents *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        struct extent *extent = &nodes->list[i];
        struct stray_node *list = (void *)extent->data;
        for (uint64_t at = 0; at < extent->count; at++) {
            if (list[at].parent >= extent->first + at)
                list[at].kind = 0;
            if (list[at].kind > STRAY_NODE_PYTHON)
                list[at] = (struct stray_node){.kind = STRAY_NODE_NATIVE, .parent = list[at].parent};
        }
    }
}

/* Where no record tells, the process began with its first event. */
static int begin_with_events(struct trace *trace)
{
    struct stream stream;
    struct frame_info first;
    stream_open(&stream, trace);
    int result = stream_next(&stream, &first);
    if (result > 0)
        trace->process.start_time = first.first_time;
    stream_close(&stream);
    return result < 0 ? result : 0;
}

static int trace_settle(struct trace *trace)
{
    int result = extents_seal(&trace->nodes);
    if (result == 0)
        result = extents_seal(&trace->area);
    if (result == 0)
        result = defs_parse(&trace->area, &trace->defs);
    if (result < 0)
        return result;
    nodes_validate(&trace->nodes);
    process_settle(trace);
    result = frames_settle(trace);
    if (result == 0 && !trace->defs.identity)
        result = begin_with_events(trace);
    if (result == 0)
        result = trace_calibrate(trace);
    if (result == 0)
        result = trace_find_end(trace);
    trace_assess(trace);
    return result;
}

/* The lanes of the spool come first: what leaves them meanwhile is then found in the trace. */
static int trace_load_file(struct trace *trace, struct error *error)
{
    int result = open_spool(trace);
    if (result == 0 && (result = source_open(trace->path, &trace->source)) < 0)
        return error_set(error, result, "%s: %s", trace->path,
                         result == -EBADMSG ? "not a trace: not a regular file" : error_reason(result));
    if (result == 0 && (result = header_read(trace, error)) < 0)
        return result;
    if (result == 0) {
        drop_foreign_spool(trace);
        result = scan_frames(trace);
    }
    if (result == 0 && trace->damage.header_damaged && trace->damage.frames_read == 0)
        return error_set(error, -EBADMSG, "%s: the trace's header is damaged and no frame can be read",
                         trace->path);
    if (result == 0 && trace->spool)
        result = take_spool(trace);
    if (result == 0)
        result = trace_settle(trace);
    return result < 0 ? error_set(error, result, "%s: %s", trace->path, error_reason(result)) : 0;
}

int trace_open(const char *path, struct trace **ret_trace, struct error *error)
{
    struct trace *trace = calloc(1, sizeof(*trace));
    if (!trace || !(trace->path = strdup(path))) {
        free(trace);
        return error_set(error, -ENOMEM, "%s: %s", path, error_reason(-ENOMEM));
    }
    trace->source.fd = -1;
    extents_init(&trace->nodes, sizeof(struct stray_node), spool_node_written);
    extents_init(&trace->area, 1, spool_byte_written);
    int result = trace_load_file(trace, error);
    if (result < 0) {
        trace_close(trace);
        return result;
    }
    *ret_trace = trace;
    return 0;
}

static bool begins_soundly(const char *path)
{
    struct source source;
    struct stray_file_header header;
    if (source_open(path, &source) < 0)
        return false;
    bool sound = source_read(&source, 0, &header, sizeof(header)) == 0 && header_sound(&header) && header_known(&header);
    source_close(&source);
    return sound;
}

int trace_check(const char *path, struct error *error)
{
    struct trace *trace;
    if (begins_soundly(path))
        return 0;
    int result = trace_open(path, &trace, error);
    if (result == 0)
        trace_close(trace);
    return result;
}

void trace_close(struct trace *trace)
{
    if (!trace)
        return;
    source_close(&trace->source);
    spool_free(trace->spool);
    defs_free(&trace->defs);
    extents_free(&trace->nodes);
    extents_free(&trace->area);
    unpacker_clear(&trace->unpacker);
    index_free(&trace->index);
    free(trace->path);
    free(trace);
}

void trace_set_lost(struct trace *trace, uint64_t lost)
{
    trace->lost_in_events = lost;
    trace_assess(trace);
}

const char *trace_path(const struct trace *trace)
{
    return trace->path;
}

const struct stray_file_header *trace_header(const struct trace *trace)
{
    return &trace->header;
}

const struct process *trace_process(const struct trace *trace)
{
    return &trace->process;
}

const struct damage *trace_damage(const struct trace *trace)
{
    return &trace->damage;
}

const struct stray_node *trace_node(const struct trace *trace, uint32_t id)
{
    const struct stray_node *node = extents_get(&trace->nodes, id);
    return node && node->kind != 0 ? node : NULL;
}

uint32_t trace_node_count(const struct trace *trace)
{
    uint64_t end = extents_end(&trace->nodes);
    return end ? (uint32_t)(end - 1) : 0;
}

static int compare_code(const void *key, const void *element)
{
    uint32_t id = *(const uint32_t *)key, other = ((const struct code *)element)->id;
    return id < other ? -1 : id > other;
}

const struct code *trace_code(const struct trace *trace, uint32_t id)
{
    const struct defs *defs = &trace->defs;
    return defs->code_count ? bsearch(&id, defs->codes, defs->code_count, sizeof(*defs->codes), compare_code)
                            : NULL;
}

/* Of structures whose first member is their id. */
static int compare_id(const void *key, const void *element)
{
    uint64_t id = *(const uint64_t *)key, other = *(const uint64_t *)element;
    return id < other ? -1 : id > other;
}

const struct statement_text *trace_statement(const struct trace *trace, uint64_t id)
{
    const struct defs *defs = &trace->defs;
    return defs->statement_count
               ? bsearch(&id, defs->statements, defs->statement_count, sizeof(*defs->statements), compare_id)
               : NULL;
}

const char *trace_endpoint(const struct trace *trace, uint64_t id)
{
    const struct defs *defs = &trace->defs;
    const struct endpoint *found = NULL;
    if (defs->endpoint_count)
        found = bsearch(&id, defs->endpoints, defs->endpoint_count, sizeof(*found), compare_id);
    return found ? found->text : NULL;
}

size_t trace_modules(const struct trace *trace, const struct module **ret_modules)
{
    *ret_modules = trace->defs.modules;
    return trace->defs.module_count;
}

size_t trace_notes(const struct trace *trace, const char *const **ret_notes)
{
    *ret_notes = trace->defs.notes.list;
    return trace->defs.notes.count;
}

size_t trace_options(const struct trace *trace, const char *const **ret_options)
{
    *ret_options = trace->defs.options.list;
    return trace->defs.options.count;
}

uint64_t trace_sampled(const struct trace *trace)
{
    return trace->defs.sampled;
}
