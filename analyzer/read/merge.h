/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All events of a trace in time order; one that stands for two (ANSWERED, AT_ONCE) as these. Frames are decoded when their time comes, so that memory is bounded by
 * the frames that overlap in time, not by the trace. Events of equal time keep the order: lane, then position.
 */
#ifndef STRAY_READ_MERGE_H
#define STRAY_READ_MERGE_H

#include "read/trace.h"

struct merge;
struct resume;

/* Begins a pass over `trace`, which must outlive it. Several passes may exist at once. */
int merge_open(struct trace *trace, struct merge **ret_merge, struct error *error);
void merge_close(struct merge *merge);

/* Hands out nothing that is later than `until`. Before the first event is taken. */
void merge_stop(struct merge *merge, uint64_t until);
/* Where it stopped, once all up to there has been handed out; to be freed by resume_free(). -ENOMEM. */
int merge_pause(struct merge *merge, struct resume *ret_resume);
/* Begins a pass where another one stopped (resume_holds()). */
int merge_resume(struct trace *trace, const struct resume *resume, struct merge **ret_merge, struct error *error);

/* An event, the lane it stands in, and the thread that made it (by the lane's OWNER events, 0: unknown). */
struct merged {
    struct stray_event event;
    uint32_t lane, thread;
    uint64_t since; /* what a sum (ELIDED) tells came about from then on, as far as is known: its buffer had been begun */
};

#define MERGE_BATCH 512

/* The next events: their number, at most MERGE_BATCH, and *ret_batch, which holds until the next call; 0 at the end;
 * negative errno, once all events before it have been handed out. A frame that turns out damaged is skipped and counted
 * in trace_damage(). */
int merge_batch(struct merge *merge, const struct merged **ret_batch);

/* The next event: 1 and *ret_event, *ret_lane, *ret_thread; 0 at the end; negative errno. */
int merge_next(struct merge *merge, struct stray_event *ret_event, uint32_t *ret_lane, uint32_t *ret_thread);

/* Opens, hands every event to `visit`, and closes. The error of the trace, or -ENOMEM. */
typedef void merge_visit(void *data, const struct stray_event *event);
int merge_each(struct trace *trace, merge_visit *visit, void *data);

#endif
