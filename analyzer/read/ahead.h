/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads ahead: threads decode the next frames of a trace while the ones before are worked on. Frames come out in their
 * order, with the errors that decoding gave, so that nobody can tell by what is read how many threads there were. What
 * waits to be taken is bounded, in frames and in events.
 *
 * Threads: an ahead belongs to one thread. Its trace may be used by that thread meanwhile, but for its frames, which must
 * stay as they are.
 */
#ifndef STRAY_READ_AHEAD_H
#define STRAY_READ_AHEAD_H

#include "read/inside.h"

struct ahead;

/* NULL where reading ahead does not pay (one processor, few frames) or no thread can be had: frames are then to be
 * decoded when they are wanted. `trace` must outlive it. */
struct ahead *ahead_open(const struct trace *trace);
/* Ends the threads, whatever is left to be read. NULL is accepted. */
void ahead_close(struct ahead *ahead);

/* The next frame, which is not taken yet: 1, 0 at the end, -ENOMEM. */
int ahead_peek(struct ahead *ahead, struct frame_info *ret_frame);
/* Takes the frame that ahead_peek() told of: what frame_decode() returned, and with 0 *ret_events, to be given back before
 * the ahead is closed. */
int ahead_take(struct ahead *ahead, struct stray_event **ret_events);
/* Gives back the events of a frame of `count`: their memory is used again. */
void ahead_give_back(struct ahead *ahead, uint32_t count, struct stray_event *events);

#endif
