/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sums of short lives that leave a buffer are not written to the trace each time: they are added to sums of the same site
 * and age on shelves, which are buffers of lanes that no thread owns. So a site that is busy all the time costs one event
 * in some seconds, and a buffer that held little else has room again. Shelves lie in the spool like any lane and are read like
 * one.
 *
 * Called by threads that make room in their lane, with signals blocked. Thread safe; never waits.
 */
#ifndef STRAY_PRELOAD_SUMS_H
#define STRAY_PRELOAD_SUMS_H

#include <stdbool.h>
#include <stdint.h>

#include "stray/format.h"

/* Moves sums among the STRAY_LANE_EVENTS `events` of a buffer to the shelves, `enough` of them if there are so many: all at
 * once would keep the program waiting. Returns how many slots are free now that were not: none where another thread is at
 * it, or there is no memory. *ret_blocks: heap blocks in what was moved. */
unsigned sums_take(struct stray_event *events, unsigned enough, uint64_t *ret_blocks);

/* Writes out one shelf that is nearly full or was begun long ago. `in_time` false: only if that is overdue, for the caller has
 * kept the program waiting already. True: it has done so. */
bool sums_tell(uint64_t now, bool in_time);

/* Lanes of the spool that are shelves. */
uint64_t sums_lane_count(void);

/* In a forked child: all anew. */
void sums_forget(void);
/* Before another trace of this process: the shelves are empty, and in the same lanes. */
void sums_renew(void);

#endif
