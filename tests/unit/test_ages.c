/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "lives/ages.h"

static double span(void *data, uint64_t ticks)
{
    return (double)ticks * *(const double *)data;
}

/* Around each bound and at random, for slow and fast clocks. */
Test(ages, the_table_says_what_the_logarithm_says)
{
    static const double lengths[] = {1e-9, 0.4e-9, 1e-6, 1e-3, 1e-15, 10};
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        struct age_table table;
        double length = lengths[i];
        uint64_t state = 1;
        age_table_fill(&table, span, &length);
        for (unsigned n = 0; n < 100000; n++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            uint64_t ticks = state >> (state >> 11) % 64;
            cr_assert_eq(bucket_of_ticks(&table, ticks), bucket_of_age(span(&length, ticks)), "%zu", (size_t)ticks);
        }
        for (unsigned bucket = 1; bucket < AGE_BUCKETS; bucket++)
            for (uint64_t ticks = table.from[bucket] - 1; ticks <= table.from[bucket] && ticks != UINT64_MAX; ticks++)
                cr_assert_eq(bucket_of_ticks(&table, ticks), bucket_of_age(span(&length, ticks)), "%zu", (size_t)ticks);
        cr_expect_eq(bucket_of_ticks(&table, 0), 0);
    }
}
