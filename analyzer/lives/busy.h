/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long calls took, by when: in windows whose width doubles when they run out, so that memory is bounded however long the run.
 * A zeroed struct is one without calls. Not thread safe.
 */
#ifndef STRAY_LIVES_BUSY_H
#define STRAY_LIVES_BUSY_H

#include <stdint.h>

#define BUSY_WINDOWS 128

struct busy {
    unsigned shift; /* a window is 1 << shift ticks wide */
    uint64_t ticks[BUSY_WINDOWS];
};

/* A call from `from` to `to`, ticks from any beginning that is the same for all. */
void busy_add(struct busy *busy, uint64_t from, uint64_t to);

#endif
