/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events and nodes as columns of small numbers, the payload of GROUPED and INDEXED frames before it is compressed.
 * FORMAT.md specifies it. Pure: works in the memory it is given.
 */
#ifndef STRAY_PRELOAD_COLUMNS_H
#define STRAY_PRELOAD_COLUMNS_H

#include <stdint.h>

#include "stray/format.h"
#include "stray/wire.h"

#define COLUMNS_NODES_MAX 2048u /* in a frame */

/* Bytes that a payload needs at most, and what is written behind its end: of each event its own kind and the longest numbers; nodes need
 * less. */
#define COLUMNS_BYTES_MAX (64 + STRAY_LANE_EVENTS * (7 + 5 * STRAY_VARINT_MAX))

#define COLUMNS_NEAR 256u /* kinds that are found at once */

/* Something to be sorted. */
struct column_key {
    uint64_t key;
    uint32_t slot;
};

struct column_kind {
    uint64_t handles;     /* bits that are set in any ordinary event's, */
    uint64_t told;        /* ... and in any value or stack of one */
    uint32_t what;        /* hook, action and resource, as in an event */
    uint32_t count, next; /* ordinary events */
};

/* What is worked in; its content means nothing before and, but for the first field, after. */
struct columns {
    uint32_t ordinary; /* events told last that are no sums */
    struct column_key keys[COLUMNS_NODES_MAX], spare[COLUMNS_NODES_MAX];
    struct column_kind kinds[STRAY_LANE_EVENTS];
    uint16_t kind_of[STRAY_LANE_EVENTS]; /* by slot */
    uint16_t near[COLUMNS_NEAR];         /* kinds by a hash of what they are: those met last */
    uint16_t order[STRAY_LANE_EVENTS];   /* slots of the events by kind */
    uint16_t index_of[COLUMNS_NODES_MAX];
};

/* Writes the committed ones of `capacity` (at most STRAY_LANE_EVENTS) events to `out`, and their number and times to
 * `header`. Times become multiples of 2^shift ticks after the first one. Returns the end of what was written. */
uint8_t *columns_of_events(struct columns *columns, const struct stray_event *events, uint32_t capacity, unsigned shift,
                           struct stray_frame_header *header, uint8_t *out);

/* Writes `count` (at most COLUMNS_NODES_MAX) nodes, of which the first has the id `first`. */
uint8_t *columns_of_nodes(struct columns *columns, const struct stray_node *nodes, uint32_t count, uint32_t first,
                          uint8_t *out);

#endif
