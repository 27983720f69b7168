/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Going on with the events of a trace that a process writes still. A pass stops at a time in the past; whoever opens the same trace
 * later hands out only what comes after that, once it is sure that nothing before it has changed. What is in the file does not; what
 * was in the spool may: a block that is released soon takes its acquire with it.
 */
#ifndef STRAY_READ_RESUME_H
#define STRAY_READ_RESUME_H

#include "read/trace.h"

/* Where a merge stopped. Filled by merge_pause(). */
struct resume {
    uint64_t until; /* events up to this time were handed out */
    uint64_t size;  /* of what the trace's file held of whole frames */
    struct resume_lane {
        uint32_t number, thread;
        uint64_t asked, asked_at, latest;
    } *lanes; /* ascending */
    size_t lane_count;
    struct resume_frame {
        uint32_t lane, count; /* events of it up to `until` */
        uint64_t sequence, since;
        struct stray_event *events; /* these, of a frame of the spool; else NULL */
    } *frames; /* of which something was handed out, and which may come again: longer, or from the spool */
    size_t frame_count, frame_room;
};

void resume_free(struct resume *resume);
/* What is known of a frame of that lane and number; NULL: nothing. */
const struct resume_frame *resume_find(const struct resume *resume, uint32_t lane, uint64_t sequence);
/* Whether a pass over `trace`, opened since, may begin where the other one stopped. 1; 0: something before has changed; -ENOMEM. */
int resume_holds(const struct resume *resume, struct trace *trace);

#endif
