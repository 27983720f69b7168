/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lanes: the per-thread buffers of the spool. A lane belongs to one living thread; the lane of a thread that ended is
 * given to the next that needs one.
 */
#ifndef STRAY_PRELOAD_LANE_H
#define STRAY_PRELOAD_LANE_H

#include "gate.h"

/* Finds or makes a lane for the calling thread and sets thread_self.lane; NULL when there is none to be had. `now` is the
 * time of the event that is to go there. */
struct stray_lane *lane_take(uint64_t now);

/* The active buffer of this thread's lane is full. The other one, written out or as it is if there is much room in it, takes
 * the next events. The one that was filled last stays: what it tells of may soon be released, and then need not be told.
 * Only the outermost emitter calls it. */
void lane_make_room(struct stray_lane *lane);

/* A lane for the thread `owner`, or for none (0); NULL: there is no room. Signals are blocked. */
struct stray_lane *lane_new(uint32_t owner);

/* In a forked child, whose parent's threads may have been making lanes. */
void lane_forget(void);

/* How many lanes threads have taken so far, at least. */
uint64_t lane_threads(void);

/* Waits until no other thread is amid an emission that began before GATE_LATE was set: then the lanes stay as they are. Not
 * for ever, since a signal handler may hold one up. False: one may still come. */
bool lane_settle(void);

/* Whether no thread that has a lane, but this one, is at work for the tracer. */
bool lane_all_idle(void);
/* Between two traces of one process: who has which lane is kept when the first has ended, and put into the spool of the second, whose
 * lanes are empty. Only while no thread records. */
void lane_keep_owners(void);
void lane_renew_all(void);
/* In a forked child that has inherited such lanes: its one thread may have any of them. */
void lane_owners_forked(uint32_t thread);

/* Writes out everything that all lanes hold, for the end of the process or an exec. The buffers are copied as they
 * stand and stay: a later, fuller frame of the same number supersedes this one. False: not all could be written, and the spool is still needed. */
bool lane_flush_all(void);

#endif
