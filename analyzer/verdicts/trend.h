/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a short series rises, and how fast, without a thought about its distribution. Pure functions. */
#ifndef STRAY_VERDICTS_TREND_H
#define STRAY_VERDICTS_TREND_H

#include <stddef.h>

#include "verdicts/stats.h"

#define TREND_POINTS 64 /* more are not looked at */

struct trend {
    double z; /* Mann and Kendall's test, its variance corrected for autocorrelation by Hamed and Rao */
    struct interval slope; /* Theil and Sen's, per unit of x */
};

/* Of y over x, which rises. Fewer than 4 points: no trend, and a slope of 0. */
struct trend trend_of(const double *x, const double *y, size_t count);
/* Its z alone, which takes less. */
double trend_z(const double *x, const double *y, size_t count);

#endif
