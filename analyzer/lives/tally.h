/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What samples stand for. Each is drawn with a probability that its size decides, independently of the others, and stands
 * for its reciprocal, the weight (Horvitz and Thompson): the sum of the weights is an estimate without bias of how many there
 * are, that of size times weight of their bytes. The variances of both are estimated without bias, too: what is certain to
 * be drawn, weight 1, adds nothing to them. Pure; a zeroed struct is empty.
 */
#ifndef STRAY_LIVES_TALLY_H
#define STRAY_LIVES_TALLY_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct tally {
    double count, variance; /* of the estimated number */
    double bytes_variance;  /* of the estimated bytes, which are summed elsewhere */
};

#define TALLY_UNIT 16.0 /* the weight in an event's value is in sixteenths; 0: it was no sample */

/* As an event of a Python object says. */
static inline double tally_weight(uint64_t value)
{
    return value >> 32 ? (double)(value >> 32) / TALLY_UNIT : 1;
}

/* Of a block of `size` bytes, where points are `mean` bytes apart and a block is drawn if one hits it. */
static inline double tally_weight_of(uint64_t size, double mean)
{
    return -1 / expm1(-(size ? (double)size : 1) / mean);
}

/* A size as often as `weight` says. Sizes of a damaged trace may be more than there is. */
static inline uint64_t tally_times(uint64_t size, double weight)
{
    return (uint64_t)fmin((double)size * weight + 0.5, 0x1p62);
}

/* One sample; `bytes`: of all that it stands for. */
static inline struct tally tally_of(double weight, double bytes)
{
    return (struct tally){weight, weight * (weight - 1), bytes * bytes * (1 - 1 / weight)};
}

static inline void tally_join(struct tally *tally, const struct tally *other)
{
    tally->count += other->count;
    tally->variance += other->variance;
    tally->bytes_variance += other->bytes_variance;
}

static inline void tally_take(struct tally *tally, const struct tally *other)
{
    tally->count -= other->count;
    tally->variance -= other->variance;
    tally->bytes_variance -= other->bytes_variance;
}

/* As a whole number. */
static inline uint64_t tally_whole(const struct tally *tally)
{
    return tally->count > 0 ? (uint64_t)(tally->count + 0.5) : 0;
}

#endif
