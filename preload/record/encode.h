/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From events, nodes and definitions to frames: as columns (columns.h), then compressed. Pure but for the workspaces, of
 * which a small fixed set exists. Thread and signal safe.
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

/* Encodes the committed ones of `capacity` (at most STRAY_LANE_EVENTS) events, of which there may be none, with times told in
 * units of 2^shift ticks. False: there is no memory. The frame holds a workspace until encode_release(). */
bool encode_events(uint32_t lane, uint64_t sequence, const struct stray_event *events, uint32_t capacity, unsigned shift,
                   struct frame *ret_frame);
/* The same for `count` (at most COLUMNS_NODES_MAX) nodes, of which the first has the id `first`. */
bool encode_nodes(uint32_t first, uint32_t count, const struct stray_node *nodes, struct frame *ret_frame);
/* The same for at most ENCODE_TABLE_MAX bytes of the definitions, from byte `first` on. */
#define ENCODE_TABLE_MAX (32u << 10)
bool encode_definitions(uint64_t first, const void *bytes, size_t size, struct frame *ret_frame);
/* Gives the frame's workspace back; its bytes are void then. */
void encode_release(struct frame *frame);
/* Frees, in a forked child, the workspaces that the parent's other threads held. */
void encode_forget(void);

#endif
