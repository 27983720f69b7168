/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many resources of one site were open, window by window: the smallest number. What piles up raises it,
 * what comes and goes does not. Beside it, where it is asked for, how many were born in each, and how many of
 * these were kept to the end. Windows are stretches of marks, so they are the same for all sites of a process,
 * and lie on each of its axes. When they run out, their width doubles and neighbours merge: memory is bounded
 * however long the run. A zeroed struct is windows with nothing in them.
 * Not thread safe.
 */
#ifndef STRAY_LIVES_WINDOWS_H
#define STRAY_LIVES_WINDOWS_H

#include <stdint.h>

#define LIVES_WINDOWS 64

struct windows {
    uint32_t current; /* once settled: index of the latest window */
    uint32_t shift;   /* ... and a mark's number, shifted right by this, is its window's index */
    uint32_t low[LIVES_WINDOWS];    /* smallest number open */
    float low_bytes[LIVES_WINDOWS]; /* smallest sum of sizes open */
    struct births *births; /* NULL: these are not told */
};

/* How many were acquired in each window, and of these, open at Tc. */
struct births {
    uint32_t born[LIVES_WINDOWS], kept[LIVES_WINDOWS];
};

/* The latest window, whose place in the arrays is filled when it is left or settled. Apart from them, because every event
 * touches it. Goes with one struct windows; both are zeroed together. */
struct window {
    uint32_t until; /* first mark beyond it, where there are windows */
    uint32_t least; /* smallest number open in it so far */
    float least_bytes;
    uint32_t births; /* acquired in it, beyond what its place says */
    uint8_t current; /* its index */
    uint8_t shift;   /* as in struct windows */
};

/* Comes to `mark`, up to which `open` and `bytes` did not change. Needed once `mark` is at least latest->until. */
void windows_move(struct windows *windows, struct window *latest, uint32_t mark, uint64_t open, uint64_t bytes);

/* To be called before the site's state changes: until now it was what it is. */
static inline void windows_advance(struct windows *windows, struct window *latest, uint32_t mark, uint64_t open, uint64_t bytes)
{
    if (mark >= latest->until)
        windows_move(windows, latest, mark, open, bytes);
}

/* The site's state within the latest window changed to this. */
static inline void window_change(struct window *latest, uint64_t open, uint64_t bytes)
{
    if (open < latest->least)
        latest->least = (uint32_t)open;
    if ((float)bytes < latest->least_bytes)
        latest->least_bytes = (float)bytes;
}

/* One that was acquired in the latest window turns out not to have been. */
static inline void window_unborn(struct window *latest)
{
    latest->births -= latest->births > 0;
}

/* `count` more were acquired since mark `from`, about evenly. */
void windows_born_since(struct windows *windows, const struct window *latest, uint32_t from, uint64_t count);
/* One that was acquired at `mark` is open at Tc. To be called when all windows have come to the same mark. */
void windows_kept(struct windows *windows, uint32_t mark);

/* Fills in the latest window: to be called before the arrays are looked at. */
void windows_settle(struct windows *windows, struct window *latest);
/* First mark of window `index`. */
uint32_t windows_mark(const struct windows *windows, uint32_t index);

#endif
