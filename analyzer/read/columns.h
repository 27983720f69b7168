/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The payloads of GROUPED and INDEXED frames: events by kind, and nodes by the place of their values.
 */
#ifndef STRAY_READ_COLUMNS_H
#define STRAY_READ_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "stray/format.h"

/* Decodes `count` events; `first_time` and `last_time` are the frame's and bound every event. Sums of short lives stand
 * last, the others in the order of time. -EBADMSG on bytes that are cut short, left over, or out of range; -ENOMEM. */
int grouped_decode(const uint8_t *plain, size_t size, uint32_t count, uint64_t first_time, uint64_t last_time,
                   struct stray_event *events);

/* Decodes `count` nodes, of which the first has the id `first`. -EBADMSG, -ENOMEM. */
int indexed_decode(const uint8_t *plain, size_t size, uint32_t count, uint64_t first, struct stray_node *nodes);

#endif
