/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The axes of a process's life: how much time, how many requests, statements and allocations had passed at
 * each of at most MARKS_LIMIT moments. A resource remembers the mark of its birth, four bytes, and from it
 * every axis can be told at the end, when it is known which one is worth having. When the marks run out,
 * neighbours merge, so that memory is bounded however long the run.
 */
#ifndef STRAY_LIVES_MARKS_H
#define STRAY_LIVES_MARKS_H

#include <stddef.h>
#include <stdint.h>

#define MARKS_LIMIT 65536u

enum axis { AXIS_REQUESTS, AXIS_STATEMENTS, AXIS_ALLOCATIONS, AXIS_TIME, AXIS_COUNT };

struct mark {
    uint64_t at[AXIS_COUNT]; /* how far each axis had come; AXIS_TIME: event time */
};

struct marks {
    struct mark *items; /* MARKS_LIMIT of them */
    size_t count;
    unsigned shift;   /* a mark's number, shifted right by this, is its index */
    uint32_t current; /* number of the latest mark */
    double *slope;    /* by index: by how much more than at the one before the spread axis rises */
};

int marks_open(struct marks *marks);
void marks_clear(struct marks *marks);
/* Begins a new mark at `now`. */
void marks_add(struct marks *marks, const struct mark *now);
/* Some of an axis is told late, in one sum: `amount` of it came about evenly between mark `from` and the
 * latest. That counts once marks_settle() is called. */
void marks_spread(struct marks *marks, uint32_t from, double amount);
/* Adds all that was spread to `axis` of each mark, and returns its sum. To be called once. */
uint64_t marks_settle(struct marks *marks, enum axis axis);
/* The moment a mark was made, as exactly as is still known. There must be a mark. */
static inline const struct mark *marks_at(const struct marks *marks, uint32_t number)
{
    return &marks->items[number >> marks->shift];
}
/* The next one; NULL: there is none yet. */
const struct mark *marks_after(const struct marks *marks, uint32_t number);
/* The latest mark that was made by `time`, or the first. There must be a mark. */
uint32_t marks_number_at(const struct marks *marks, uint64_t time);
/* Event time at which `axis` came to `value`. */
uint64_t marks_time_at(const struct marks *marks, enum axis axis, double value);

#endif
