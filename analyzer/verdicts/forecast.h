/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When something that grows reaches its limit. Pure functions. */
#ifndef STRAY_VERDICTS_FORECAST_H
#define STRAY_VERDICTS_FORECAST_H

#include <stdbool.h>

#include "verdicts/stats.h"

/* Nothing is foretold beyond this many times what was seen. */
#define FORECAST_REACH 10

/* Seconds until `now`, which grows at `per_hour`, is `limit`, after `observed` seconds. False: too far off to tell, or it does
 * not grow. The later end of the interval ends where the reach does. */
bool forecast(double limit, double now, const struct interval *per_hour, double observed, struct interval *ret_seconds);

/* The sum of two independent rates. */
struct interval forecast_sum(const struct interval *one, const struct interval *other);

#endif
