/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lives that begin and end in one buffer of one lane leave no events: their two records are replaced by an addition to
 * a sum kept for their site (and the order of magnitude of their age) in the same buffer. The sums are events like any
 * other, so they survive whatever the lane survives. Most blocks die young: a log then grows with what survives.
 *
 * The index behind it is private to the lane and holds nothing that is not checked against the buffer before use.
 * Called by the outermost emitter of the lane's own thread only, but for young_outdate().
 */
#ifndef STRAY_PRELOAD_YOUNG_H
#define STRAY_PRELOAD_YOUNG_H

#include <stdbool.h>

#include "stray/format.h"

struct young;

/* What every call works on: a buffer of the lane, chosen once for an emission, since a signal handler may make the other
 * one active at any moment. */
struct young_buffer {
    struct young *young;
    struct stray_event *events;
    uint64_t sequence;
};

/* The index of a lane; NULL where pairs are not to be elided (--full) or there is no memory. */
struct young *young_of(struct stray_lane *lane);

/* A slot of the buffer that an elided pair has left free; NULL: none. */
struct stray_event *young_slot(const struct young_buffer *buffer);
bool young_has_slot(const struct young_buffer *buffer);

/* Remembers where in the buffer the acquire of `handle` stands. */
void young_remember(const struct young_buffer *buffer, uint64_t handle, const struct stray_event *slot);
/* The acquire of `handle` in the buffer, if it is still in force; NULL: not there. */
struct stray_event *young_find(const struct young_buffer *buffer, uint64_t handle, uint8_t resource);
/* Adds the pair (acquire, release at `time`) to its sum, if there already is one in the buffer, and frees the acquire's
 * slot. False: there is none yet. */
bool young_add(const struct young_buffer *buffer, struct stray_event *acquire, uint64_t time);
/* The first event of a sum, for the caller to store; its place is then told by young_sum_at(). */
struct stray_event young_sum(const struct stray_event *acquire, uint64_t time);
void young_sum_at(const struct young_buffer *buffer, const struct stray_event *sum, const struct stray_event *slot);
/* Frees the slot of an acquire that is no more. */
void young_free(const struct young_buffer *buffer, struct stray_event *acquire);

/* Whatever ends or changes the life of `handle` and leaves an event of its own says so, before the real call: another
 * lane's acquire from before `time` is then no longer the one that a later release belongs to. Any emitter. */
void young_outdate(uint64_t handle, uint64_t time);

/* No more sums in this process: what is released from now on must be told from what was released before (at its end), or
 * buffers are being written out while they stay in use (before an exec, which may fail). */
void young_stop(void);
/* In a forked child: all anew. */
void young_forget(void);

#endif
