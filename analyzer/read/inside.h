/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of a trace, shared by the files of this folder and by nobody else.
 */
#ifndef STRAY_READ_INSIDE_H
#define STRAY_READ_INSIDE_H

#include "read/defs.h"
#include "read/extents.h"
#include "read/index.h"
#include "read/source.h"
#include "read/spool.h"
#include "read/trace.h"

struct clock_pair {
    uint64_t time, monotonic_ns;
    bool known;
};

/* What unpacking one payload after the other needs. A zeroed one is ready; one thread may use it at a time. */
struct unpacker {
    struct ZSTD_DCtx_s *zstd;
    uint8_t *stored, *plain; /* `plain`: the payload unpacked last */
    size_t stored_room, plain_room;
};

struct trace {
    char *path;
    struct source source;
    struct stray_file_header header;
    struct spool *spool;       /* NULL: none, or not of this trace */
    struct index index;
    struct extents nodes, area;
    struct defs defs;
    struct process process;
    struct damage damage;
    struct clock_pair first_pair, last_pair; /* the earliest and the latest seen while decoding */
    double ns_per_tick;
    uint64_t lost_in_events; /* sum of the LOST events decoded */
    uint64_t verdict_time;   /* of the latest END or EXEC_FAILED decoded */
    bool ended;              /* it was an END or an EXEC */
    struct unpacker unpacker;
    uint64_t from; /* events up to this time are handed out no more; 0: all are */
};

/* Decodes a frame into `events`, which has room for as many as the frame counts, and sorts them. -EBADMSG or -ENOTSUP if
 * its content is wrong, -ENOMEM. May be called by several threads, each with an unpacker of its own. */
int frame_decode(const struct trace *trace, const struct frame_info *frame, struct unpacker *unpacker,
                 struct stray_event *events);

/* Notes what frame_decode() made of a frame (`result`): what the trace as a whole wants to know of its events, or
 * that it is damaged; once a frame. Returns 0, -EBADMSG for any damage, or -ENOMEM. */
int trace_note(struct trace *trace, const struct frame_info *frame, int result, const struct stray_event *events);

/* Both; *ret_events is to be freed by the caller. */
int trace_load(struct trace *trace, const struct frame_info *frame, struct stray_event **ret_events);

/* Reads a payload and unpacks it into unpacker->plain. -EBADMSG, -ENOTSUP, -ENOMEM. */
int unpack(struct unpacker *unpacker, const struct source *source, uint64_t payload, uint8_t codec,
           uint32_t stored_size, uint32_t plain_size);
void unpacker_clear(struct unpacker *unpacker);

/* Settles the index, and counts what is missing between its frames. -ENOMEM. */
int frames_settle(struct trace *trace);

/* Decides damage.lost_events, damage.truncated and damage.complete anew. */
void trace_assess(struct trace *trace);

/* Finds ns_per_tick. */
int trace_calibrate(struct trace *trace);

/* Looks for the END event where it must stand if there is one. */
int trace_find_end(struct trace *trace);

/* Fills trace->process from the definitions, and asks the host whether it is running. */
void process_settle(struct trace *trace);

#endif
