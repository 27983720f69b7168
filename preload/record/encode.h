/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From events to a frame: by column, each value as the difference to the one before where that makes it small, as
 * variable-length integers, then compressed. FORMAT.md specifies it. Pure but for the workspaces, of which a small fixed
 * set exists. Thread and signal safe.
 */
#ifndef STRAY_PRELOAD_ENCODE_H
#define STRAY_PRELOAD_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "stray/format.h"

struct frame {
    struct stray_frame_header header; /* complete, with checksum */
    const void *payload;
    struct workspace *workspace;
};

/* Encodes the committed ones of `capacity` (at most STRAY_LANE_EVENTS) events, of which there may be none. False: there is
 * no memory. The frame holds a workspace until encode_release(). */
bool encode_events(uint32_t lane, uint64_t sequence, const struct stray_event *events, uint32_t capacity,
                   struct frame *ret_frame);
/* Wraps at most ENCODE_TABLE_MAX raw bytes of a table. */
#define ENCODE_TABLE_MAX (32u << 10)
bool encode_table(uint16_t type, uint64_t first, uint32_t count, const void *bytes, size_t size, struct frame *ret_frame);
void encode_release(struct frame *frame);
/* Frees, in a forked child, the workspaces that the parent's other threads held. */
void encode_forget(void);

#endif
