/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lives that begin and end in one buffer of one lane leave no events: their two records are replaced by an addition to
 * a sum kept for their site (and the order of magnitude of their age) in the same buffer. The sums are events like any
 * other, so they survive whatever the lane survives. Most blocks die young: a log then grows with what survives.
 *
 * The index behind it is private to the lane and holds nothing that is not checked against the buffer before use.
 * Called by the outermost emitter of the lane's own thread only.
 */
#ifndef STRAY_PRELOAD_YOUNG_H
#define STRAY_PRELOAD_YOUNG_H

#include <stdbool.h>

#include "stray/format.h"

struct young;

/* The index of a lane; NULL where pairs are not to be elided (--full) or there is no memory. */
struct young *young_of(struct stray_lane *lane);

/* A slot of the active buffer that an elided pair has left free; -1: none. */
int young_slot(struct young *young, const struct stray_lane *lane);
bool young_has_slot(const struct young *young, const struct stray_lane *lane);

/* Remembers where the acquire of `handle` stands in the active buffer. */
void young_remember(struct young *young, uint64_t handle, unsigned slot);
/* The acquire of `handle` in the active buffer, NULL: not there. */
struct stray_event *young_find(struct young *young, struct stray_lane *lane, uint64_t handle, uint8_t resource);
/* Adds the pair (acquire, release at `time`) to its sum, if there already is one in the buffer, and frees the acquire's
 * slot. False: there is none yet. */
bool young_add(struct young *young, struct stray_lane *lane, struct stray_event *acquire, uint64_t time);
/* The first event of a sum, for the caller to store; its place is then told by young_sum_at(). */
struct stray_event young_sum(const struct stray_event *acquire, uint64_t time);
void young_sum_at(struct young *young, const struct stray_event *sum, unsigned slot);
/* Frees the slot of an acquire that is no more. */
void young_free(struct young *young, struct stray_lane *lane, struct stray_event *acquire);

/* No more sums: what is released from now on must be told from what was released before. */
void young_stop(void);
/* In a forked child: all anew. */
void young_forget(void);

#endif
