/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What samples stand for. The number of objects is estimated by the sum of the samples' weights (Horvitz and Thompson), and
 * how sure that is by the sum of their squares. Pure; a zeroed struct is empty.
 */
#ifndef STRAY_LIVES_TALLY_H
#define STRAY_LIVES_TALLY_H

#include <stdbool.h>
#include <stdint.h>

struct tally {
    double count, square; /* of the weights, and of their squares */
};

#define TALLY_UNIT 16.0 /* the weight in an event's value is in sixteenths; 0: it was no sample */

static inline double tally_weight(uint64_t value)
{
    return value >> 32 ? (double)(value >> 32) / TALLY_UNIT : 1;
}

static inline void tally_add(struct tally *tally, double weight)
{
    tally->count += weight;
    tally->square += weight * weight;
}

static inline void tally_take(struct tally *tally, double weight)
{
    tally->count -= weight;
    tally->square -= weight * weight;
}

static inline void tally_join(struct tally *tally, const struct tally *other)
{
    tally->count += other->count;
    tally->square += other->square;
}

/* As a whole number. */
static inline uint64_t tally_whole(const struct tally *tally)
{
    return tally->count > 0 ? (uint64_t)(tally->count + 0.5) : 0;
}

#endif
