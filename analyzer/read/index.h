/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The index of a trace's EVENTS frames. It does not list them: there may be millions. Frames stand in a file nearly in the
 * order of time, so that a window of INDEX_WINDOW of them, sliding over their headers, brings them into that order. The
 * index holds what the window cannot know: frames that stand too far from their place (a lane that is seldom filled), those
 * of the spool, those that others supersede, and where damage must be jumped over. So it grows with these, and by two bits
 * a frame, not with the trace.
 *
 * Use: index_add() for each sound frame in the order of the file, index_add_spooled(), index_settle() once; then walks and
 * streams (read/stream.h).
 */
#ifndef STRAY_READ_INDEX_H
#define STRAY_READ_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "read/numbers.h"
#include "stray/format.h"

#define INDEX_WINDOW 4096
#define INDEX_CHUNK  1024 /* frames from one remembered place in the file to the next */

/* One EVENTS frame, or one buffer of the spool that takes the place of a frame. */
struct frame_info {
    uint64_t payload;                  /* where it begins in the trace; unused with `spooled` */
    const struct stray_event *spooled; /* NULL: in the trace */
    uint64_t sequence, first_time, last_time;
    uint64_t ordinal; /* in the order of the file; those of the spool come last */
    uint32_t lane, count, stored_size, plain_size;
    uint16_t type;
    uint8_t codec;
    bool unreadable; /* it was there before: the file has changed meanwhile */
};

struct frame_list {
    struct frame_info *items;
    size_t count, room;
};

/* Frames that were seen and not yet handed on, the first one in the order of time as the root of a heap. */
struct window {
    struct frame_list heap;
    bool slid; /* something has left it */
    struct frame_info left;
};

struct place_list {
    uint64_t *items;
    size_t count, room;
};

/* Where the frame that ends at `from` is not followed by the next one. */
struct jump {
    uint64_t from, to;
};

struct index {
    uint64_t begin, end;    /* of the frames in the file */
    uint64_t ordinals;      /* EVENTS frames in the file, and then in the spool */
    uint64_t last_time;     /* of all events */
    struct numbers numbers;
    struct frame_list strays;  /* come by their own; in the order of time once settled */
    struct place_list skipped; /* payloads of frames that do not come through the window; ascending once settled */
    struct frame_list newest;  /* with the largest number, of each lane of `numbers`; `count` 0: it has none with events */
    struct place_list chunks;  /* where every INDEX_CHUNKth EVENTS frame's header stands */
    struct jump *jumps;
    size_t jump_count, jump_room;
    struct window window; /* until settled */
    uint8_t *noted;       /* a bit for each ordinal */
    size_t noted_room;
};

struct trace;

void index_free(struct index *index);

/* The next frame of the file, which is sound, whatever its type: where its header and what follows it stand. -ENOMEM. */
int index_pass(struct index *index, uint64_t header, uint64_t next);
/* The EVENTS frame just passed, or a buffer of the spool. -ENOMEM. */
int index_add(struct index *index, struct frame_info frame);
int index_add_spooled(struct index *index, struct frame_info frame);
/* Drops frames that others supersede. -ENOMEM. */
int index_settle(struct trace *trace);

/* The order of time: first time, lane, number, place. */
int frame_compare(const struct frame_info *a, const struct frame_info *b);
int frame_list_add(struct frame_list *list, const struct frame_info *frame);

/* Whether a frame of the file does not come through the window. Settled indexes only. */
bool index_skips(const struct index *index, uint64_t payload);

/* False if the frame was noted before. */
bool index_note(struct index *index, const struct frame_info *frame);
bool index_noted(const struct index *index, const struct frame_info *frame);

int window_push(struct window *window, const struct frame_info *frame);
struct frame_info window_pop(struct window *window);
void window_free(struct window *window);

#endif
