/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long the resources of one site live, from the ages at which they were released and the ages of those
 * that still live (which are censored: they may be released later). Pure functions.
 */
#ifndef STRAY_VERDICTS_SURVIVAL_H
#define STRAY_VERDICTS_SURVIVAL_H

#include <stdint.h>

#include "verdicts/stats.h"

struct ages {
    const uint32_t *released, *surviving; /* how many, by bucket */
    const double *bound; /* lower bound of each bucket, and of the one after the last: seconds */
    unsigned buckets;
    double unseen; /* releases for each one in `released`, at least 1: those before the ages were kept count
                      as well */
};

/* The share that is not yet released at an age, in seconds, with its interval. */
struct survival_step {
    double age;
    struct interval share;
};

/* The age that a share `q` of the released did not reach; 0: none was released. */
double survival_quantile(const struct ages *ages, double q);
/* How readily those older than `age` are still released: expected releases of one that lives `span` more
 * seconds. */
double survival_hazard(const struct ages *ages, double age, double span);
/* Share that is never released: Kaplan and Meier's estimate at the last age with 20 at risk, Greenwood's
 * interval. */
struct interval survival_share(const struct ages *ages);
/* The same at each age at which some were released, up to the last with 20 at risk: at most ages->buckets steps, for which there
 * must be room. Returns how many. */
unsigned survival_curve(const struct ages *ages, struct survival_step *steps);

#endif
