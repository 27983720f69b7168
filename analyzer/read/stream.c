/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read/stream.h"

#include "read/frame.h"
#include "read/inside.h"

void walk_begin(struct walk *walk, const struct trace *trace)
{
    *walk = (struct walk){.trace = trace, .offset = trace->index.begin};
}

void walk_begin_chunk(struct walk *walk, const struct trace *trace, size_t chunk)
{
    const struct index *index = &trace->index;
    *walk = (struct walk){.trace = trace, .offset = index->chunks.items[chunk], .ordinal = chunk * (uint64_t)INDEX_CHUNK};
    while (walk->jump < index->jump_count && index->jumps[walk->jump].from < walk->offset)
        walk->jump++;
}

/* The frame's header; false if it is not there any more. */
static bool read_header(struct walk *walk, struct stray_frame_header *ret_header)
{
    const struct index *index = &walk->trace->index;
    if (walk->jump < index->jump_count && index->jumps[walk->jump].from == walk->offset)
        walk->offset = index->jumps[walk->jump++].to;
    return source_read(&walk->trace->source, walk->offset, ret_header, sizeof(*ret_header)) == 0 &&
           ret_header->magic == STRAY_FRAME_MAGIC;
}

struct frame_info frame_of(const struct stray_frame_header *header, uint64_t payload)
{
    return (struct frame_info){
        .payload = payload,
        .sequence = header->first,
        .first_time = header->first_time,
        .last_time = header->last_time,
        .lane = header->lane,
        .count = header->count,
        .stored_size = header->stored_size,
        .plain_size = header->plain_size,
        .type = header->type,
        .codec = header->codec,
    };
}

bool walk_next(struct walk *walk, struct frame_info *ret_frame)
{
    struct stray_frame_header header;
    while (walk->offset < walk->trace->index.end && !walk->broken) {
        if (!read_header(walk, &header)) {
            walk->broken = true;
            *ret_frame = (struct frame_info){.first_time = UINT64_MAX, .ordinal = walk->trace->index.ordinals, .count = 1, .unreadable = true};
            return true;
        }
        uint64_t payload = walk->offset + sizeof(header);
        walk->offset = payload + header.stored_size;
        if (!frame_holds_events(header.type) || !frame_sensible(&header))
            continue;
        *ret_frame = frame_of(&header, payload);
        ret_frame->ordinal = walk->ordinal++;
        return true;
    }
    return false;
}

void stream_open(struct stream *stream, const struct trace *trace)
{
    *stream = (struct stream){0};
    walk_begin(&stream->walk, trace);
}

void stream_close(struct stream *stream)
{
    window_free(&stream->window);
}

/* The window held one frame more than INDEX_WINDOW whenever something left it, while the index was made. */
static int fill_window(struct stream *stream)
{
    struct frame_info frame;
    int result = 0;
    while (result == 0 && stream->window.heap.count <= INDEX_WINDOW && walk_next(&stream->walk, &frame))
        if (frame.count > 0 && !index_skips(&stream->walk.trace->index, frame.payload))
            result = window_push(&stream->window, &frame);
    return result;
}

static int next_of_all(struct stream *stream, struct frame_info *ret_frame)
{
    const struct frame_list *strays = &stream->walk.trace->index.strays;
    int result = fill_window(stream);
    if (result < 0)
        return result;
    const struct frame_info *stray = stream->stray < strays->count ? &strays->items[stream->stray] : NULL;
    const struct frame_info *first = stream->window.heap.count > 0 ? stream->window.heap.items : NULL;
    if (!stray && !first)
        return 0;
    if (!first || (stray && frame_compare(stray, first) < 0)) {
        *ret_frame = *stray;
        stream->stray++;
    } else {
        *ret_frame = window_pop(&stream->window);
    }
    return 1;
}

int stream_next(struct stream *stream, struct frame_info *ret_frame)
{
    int result;
    while ((result = next_of_all(stream, ret_frame)) > 0 && ret_frame->last_time <= stream->walk.trace->from)
        ;
    return result;
}
