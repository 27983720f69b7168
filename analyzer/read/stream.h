/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The EVENTS frames of a trace, one after the other, by their headers in the file: in the order of the file, or in that of
 * time. Needs a trace whose index is complete; a trace that has shrunk since ends with a frame that is unreadable.
 */
#ifndef STRAY_READ_STREAM_H
#define STRAY_READ_STREAM_H

#include "read/index.h"

/* In the order of the file: all of them, also those that others supersede. */
struct walk {
    const struct trace *trace;
    uint64_t offset, ordinal;
    size_t jump; /* the next one */
    bool broken;
};

/* What an EVENTS frame's header says of it. */
struct frame_info frame_of(const struct stray_frame_header *header, uint64_t payload);

void walk_begin(struct walk *walk, const struct trace *trace);
/* From the INDEX_CHUNK * `chunk`th frame on. */
void walk_begin_chunk(struct walk *walk, const struct trace *trace, size_t chunk);
bool walk_next(struct walk *walk, struct frame_info *ret_frame);

/* In the order of time, those that count, and those of the spool among them. */
struct stream {
    struct walk walk;
    struct window window;
    size_t stray; /* the next one */
};

void stream_open(struct stream *stream, const struct trace *trace);
void stream_close(struct stream *stream);
/* The next frame: 1, 0 at the end, -ENOMEM. */
int stream_next(struct stream *stream, struct frame_info *ret_frame);

#endif
