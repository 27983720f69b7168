/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The spool: the mapped file in which lanes, stack nodes and definitions live until they are in the trace, so that
 * whatever kills the process, they can be read.
 *
 * The file is as long as everything might ever need, and sparse; each piece is populated before it is used, so that a
 * full disk is a refusal here and never a SIGBUS there. No descriptor is kept. Forked children do not inherit the
 * mapping. Thread and signal safe but for spool_open().
 */
#ifndef STRAY_PRELOAD_SPOOL_H
#define STRAY_PRELOAD_SPOOL_H

#include <stdbool.h>

#include "stray/format.h"

extern struct stray_spool_header *spool; /* NULL until opened */

/* Creates and maps the file at `path` (which must not exist). 0 or a negative errno. */
int spool_open(const char *path, const uint8_t trace_id[16]);
/* Forgets the mapping: in a forked child, which does not have it. */
void spool_forget(void);
/* Removes the file; the mapping stays valid, for late writers. */
void spool_remove(void);
const char *spool_path(void);

enum spool_area { SPOOL_NODES, SPOOL_DEFS, SPOOL_LANES, SPOOL_AREAS };

/* Makes bytes [0, end) of an area writable without risk. False: no room. */
bool spool_reserve(enum spool_area area, uint64_t end);

static inline struct stray_node *spool_nodes(void)
{
    return (struct stray_node *)((char *)spool + spool->nodes_offset);
}
static inline char *spool_defs(void)
{
    return (char *)spool + spool->defs_offset;
}
static inline struct stray_lane *spool_lane(uint64_t index)
{
    return (struct stray_lane *)((char *)spool + spool->lanes_offset) + index;
}

/* Counts events that could not be recorded. */
static inline void spool_count_lost(uint64_t events)
{
    __atomic_fetch_add(&spool->lost_events, events, __ATOMIC_RELAXED);
}

#endif
