/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/ages.h"

#include <math.h>

#define YOUNGEST_S 100e-6

double age_of_bucket(unsigned bucket)
{
    return YOUNGEST_S * exp2(bucket / 4.0);
}

unsigned bucket_of_age(double seconds)
{
    double bucket = seconds > YOUNGEST_S ? 4 * log2(seconds / YOUNGEST_S) : 0;
    return bucket < AGE_BUCKETS - 1 ? (unsigned)bucket : AGE_BUCKETS - 1;
}

/* The least ticks, not below `low`, that lie in `bucket` or above. */
static uint64_t least_ticks(unsigned bucket, uint64_t low, double (*span)(void *data, uint64_t ticks), void *data)
{
    uint64_t high = UINT64_MAX;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (bucket_of_age(span(data, middle)) >= bucket)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void age_table_fill(struct age_table *table, double (*span)(void *data, uint64_t ticks), void *data)
{
    table->from[0] = 0;
    for (unsigned i = 1; i < sizeof(table->from) / sizeof(*table->from); i++)
        table->from[i] = i < AGE_BUCKETS ? least_ticks(i, table->from[i - 1], span, data) : UINT64_MAX;
    for (unsigned octave = 0, bucket = 0; octave < 64; octave++) {
        while (table->from[bucket + 1] <= UINT64_C(1) << octave)
            bucket++;
        table->first[octave] = (uint8_t)bucket;
    }
}
