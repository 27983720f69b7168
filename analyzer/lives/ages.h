/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ages sorted into buckets, four an octave. A table by ticks says what bucket_of_age() says of the seconds, without a
 * logarithm: it is asked once a release. A table does not change once made; then it is safe for threads.
 */
#ifndef STRAY_LIVES_AGES_H
#define STRAY_LIVES_AGES_H

#include <stdint.h>

#define AGE_BUCKETS 144 /* four an octave from 100 microseconds: to 80 days */
#define AGE_OCTAVE  4   /* bounds of buckets within a factor of two, at most */

struct age_table {
    uint64_t from[AGE_BUCKETS + AGE_OCTAVE + 1]; /* the least ticks of each bucket; UINT64_MAX: never reached */
    uint8_t first[64];                           /* bucket of each power of two */
};

/* Lower bound of an age bucket, in seconds, and the bucket of an age. */
double age_of_bucket(unsigned bucket);
unsigned bucket_of_age(double seconds);

/* `span` says how many seconds a number of ticks is; more for more. */
void age_table_fill(struct age_table *table, double (*span)(void *data, uint64_t ticks), void *data);

static inline unsigned bucket_of_ticks(const struct age_table *table, uint64_t ticks)
{
    unsigned bucket = table->first[63 - __builtin_clzll(ticks | 1)];
    const uint64_t *next = &table->from[bucket + 1];
    for (unsigned i = 0; i < AGE_OCTAVE; i++)
        bucket += ticks >= next[i];
    return ticks ? bucket : 0;
}

#endif
