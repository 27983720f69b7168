/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/forecast.h"

#include <math.h>

#define HOUR_S 3600.0

bool forecast(double limit, double now, const struct interval *per_hour, double observed, struct interval *ret_seconds)
{
    double left = fmax(limit - now, 0), reach = FORECAST_REACH * observed;
    if (!(per_hour->estimate > 0) || !(left / per_hour->estimate * HOUR_S <= reach))
        return false;
    ret_seconds->estimate = left / per_hour->estimate * HOUR_S;
    ret_seconds->low = left / fmax(per_hour->high, per_hour->estimate) * HOUR_S;
    ret_seconds->high = per_hour->low > 0 ? fmin(left / per_hour->low * HOUR_S, reach) : reach;
    return true;
}

struct interval forecast_sum(const struct interval *one, const struct interval *other)
{
    double estimate = one->estimate + other->estimate;
    return (struct interval){
        estimate,
        fmax(estimate - hypot(one->estimate - one->low, other->estimate - other->low), 0),
        estimate + hypot(one->high - one->estimate, other->high - other->estimate),
    };
}
