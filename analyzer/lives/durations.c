/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long calls take, by buckets of a quarter of an octave. */
#include "lives/statements.h"

#include <math.h>

#include "lives/sessions.h"

#define BUCKET_FIRST 1e-6

/* Its lower bound in seconds. */
static double duration_of_bucket(unsigned bucket)
{
    return bucket == 0 ? 0 : BUCKET_FIRST * exp2((bucket - 1) / 4.0);
}

unsigned duration_bucket(double seconds)
{
    if (seconds < BUCKET_FIRST)
        return 0;
    unsigned bucket = 1 + (unsigned)(4 * log2(seconds / BUCKET_FIRST));
    return bucket < DURATION_BUCKETS ? bucket : DURATION_BUCKETS - 1;
}

/* The middle of the bucket that holds it. */
double durations_quantile(const uint64_t *durations, double share)
{
    uint64_t total = 0, sum = 0;
    for (unsigned i = 0; i < DURATION_BUCKETS; i++)
        total += durations[i];
    for (unsigned i = 0; i < DURATION_BUCKETS && total > 0; i++) {
        sum += durations[i];
        if ((double)sum >= share * (double)total)
            return duration_of_bucket(i) * exp2(0.125);
    }
    return 0;
}
