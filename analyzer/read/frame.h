/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames: finding them in a file, checking them, and turning their payload into events.
 *
 * A frame is taken only if its header is within bounds and its checksum holds. After damage the file is
 * searched for the next place where that is so.
 */
#ifndef STRAY_READ_FRAME_H
#define STRAY_READ_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "read/source.h"
#include "read/trace.h"
#include "stray/format.h"

struct ZSTD_DCtx_s;

/* Walks over the frames of a file. */
struct scan {
    const struct source *source;
    uint64_t offset; /* where the next frame should begin */
    uint64_t
        budget; /* bytes that may still be checksummed in vain: crafted files must not cost quadratic time */
    struct damage *damage; /* what the walk finds wrong is counted here */
    uint8_t *stored;       /* payload of the current frame as it stands in the file */
    size_t stored_room;
    uint8_t *window; /* what is being searched after damage */
};

void scan_begin(struct scan *scan, const struct source *source, uint64_t offset, struct damage *damage);
void scan_end(struct scan *scan);

/* Something is wrong with the file from `offset` on. */
static inline void damage_at(struct damage *damage, uint64_t offset)
{
    if (damage->offset == 0 || offset < damage->offset)
        damage->offset = offset;
}

/* The next sound frame: 1, *ret_header, and its payload in scan->stored and at *ret_payload in the file; 0 at
 * the end; -ENOMEM. */
int scan_next(struct scan *scan, struct stray_frame_header *ret_header, uint64_t *ret_payload);

/* Whether frames of this type hold events. */
static inline bool frame_holds_events(uint16_t type)
{
    return type == STRAY_FRAME_EVENTS || type == STRAY_FRAME_GROUPED;
}

/* True if the fields of a sound frame make sense together (also where a checksum says that they were meant
 * so). */
bool frame_sensible(const struct stray_frame_header *header);

/* Unpacks a payload of `stored_size` bytes into exactly `plain_size` bytes at `plain`. -EBADMSG, -ENOTSUP
 * (codec). */
int frame_unpack(struct ZSTD_DCtx_s *context, uint8_t codec, const uint8_t *stored, size_t stored_size,
                 uint8_t *plain, size_t plain_size);

/* Decodes `count` events from an EVENTS payload; `first_time` and `last_time` are the frame's and bound every
 * event. -EBADMSG on bytes that are cut short, left over, or out of range. */
int events_decode(const uint8_t *plain, size_t size, uint32_t count, uint64_t first_time, uint64_t last_time,
                  struct stray_event *events);

/* Sorts by time, keeping the order of equal ones. -ENOMEM. */
int events_sort(struct stray_event *events, size_t count);

#endif
