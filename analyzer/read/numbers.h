/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which numbers the frames of each lane bear, seen in the order of the file: mostly one after the other, so that few spans
 * hold them all, however many there are. Tells which numbers were seen more than once, and how many are missing.
 *
 * Use: numbers_see() for each frame, numbers_settle() once, then read.
 */
#ifndef STRAY_READ_NUMBERS_H
#define STRAY_READ_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers [from, to) of a lane. */
struct number_span {
    uint32_t lane;
    uint64_t from, to;
};

struct number_spans {
    struct number_span *items;
    size_t count, room;
};

#define NUMBERS_OPEN 4 /* spans of a lane that may still grow */

struct numbered_lane {
    uint32_t lane, open_count;
    struct number_span open[NUMBERS_OPEN];
};

struct numbers {
    struct numbered_lane *lanes; /* in the order of appearance */
    size_t lane_count, lane_room;
    uint32_t *slots; /* by hash of the lane: its place in `lanes` plus one */
    size_t slot_count;
    struct number_spans spans;    /* that grow no more; once settled: all, ascending, disjoint */
    struct number_spans repeated; /* seen more than once; once settled: ascending, disjoint */
};

void numbers_free(struct numbers *numbers);
/* *ret_lane: the lane's place in `lanes`. -ENOMEM. */
int numbers_see(struct numbers *numbers, uint32_t lane, uint64_t number, size_t *ret_lane);
/* -ENOMEM. */
int numbers_settle(struct numbers *numbers);

/* Settled numbers only. */
bool numbers_repeated(const struct numbers *numbers, uint32_t lane, uint64_t number);
bool numbers_has_lane(const struct numbers *numbers, uint32_t lane);
/* How many numbers below the largest one of the span's lane are missing, for the spans of one lane from `at` on; *ret_largest
 * is that number, and the place of the next lane's spans is returned. */
size_t numbers_missing(const struct numbers *numbers, size_t at, uint64_t *ret_missing, uint64_t *ret_largest);

#endif
