/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frames of a trace in the order of their first events' times, one by one and decoded: ahead of their turn where that pays,
 * else when they are taken. Tells the progress of long work. Several may exist at once. Not thread safe.
 */
#ifndef STRAY_READ_LOADER_H
#define STRAY_READ_LOADER_H

#include "read/ahead.h"
#include "read/stream.h"

struct loader {
    struct trace *trace;
    struct ahead *ahead;        /* NULL: frames are decoded when they are taken */
    struct stream stream;       /* ... unused with `ahead` */
    struct frame_info upcoming; /* the next frame, if `peeked` */
    bool peeked, ended;         /* `upcoming` is known; there is none */
    uint64_t loaded;            /* frames */
};

/* `trace` must outlive it. */
void loader_open(struct loader *loader, struct trace *trace);
void loader_close(struct loader *loader);

/* Knows the next frame (loader->upcoming), or that there is none: 1, 0, or -ENOMEM. */
int loader_peek(struct loader *loader);
/* Takes the frame that is known: its events in the order of time, to be given back. A damaged one is counted in
 * trace_damage(), and gives 0 and NULL. -ENOMEM. */
int loader_take(struct loader *loader, struct stray_event **ret_events);
/* Gives back the events of a frame of `count`. */
void loader_give_back(struct loader *loader, uint32_t count, struct stray_event *events);

/* Hands the events of each frame to `visit`, but those of damaged ones. An event whose action is 0 does not exist. The error
 * of the trace, or -ENOMEM. */
typedef void loader_visit(void *data, const struct stray_event *events, uint32_t count);
int loader_each(struct trace *trace, loader_visit *visit, void *data);

#endif
