/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/trend.h"

#include <math.h>
#include <stdlib.h>

#define FEWEST 4
#define PAIRS  (TREND_POINTS * (TREND_POINTS - 1) / 2)
#define Z95    1.959963984540054

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of equal values each has the mean of their ranks. */
static void ranks_of(const double *values, size_t count, double *ret_ranks)
{
    for (size_t i = 0; i < count; i++) {
        double below = 0, equal = 0;
        for (size_t k = 0; k < count; k++) {
            below += values[k] < values[i];
            equal += values[k] == values[i];
        }
        ret_ranks[i] = below + (equal + 1) / 2;
    }
}

static double concordance(const double *y, size_t count)
{
    double s = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++)
            s += (y[k] > y[i]) - (y[k] < y[i]);
    return s;
}

static double variance(const double *y, size_t count)
{
    double n = (double)count, ties = 0;
    for (size_t i = 0; i < count; i++) {
        double equal = 0;
        for (size_t k = 0; k < count; k++)
            equal += y[k] == y[i];
        ties += (equal - 1) * (2 * equal + 5); /* each group counts once for each of its members */
    }
    return (n * (n - 1) * (2 * n + 5) - ties) / 18;
}

/* By how much autocorrelation of the ranks, freed of the trend, makes the variance larger. A factor below 1
 * would make weak trends significant, and is not believed. */
static double correction(const double *x, const double *y, size_t count, double slope)
{
    double rest[TREND_POINTS], ranks[TREND_POINTS], n = (double)count, power = 0, sum = 0;
    for (size_t i = 0; i < count; i++)
        rest[i] = y[i] - slope * x[i];
    ranks_of(rest, count, ranks);
    for (size_t i = 0; i < count; i++) {
        ranks[i] -= (n + 1) / 2;
        power += ranks[i] * ranks[i];
    }
    if (power <= 0)
        return 1;
    for (size_t lag = 1; lag + 2 < count; lag++) {
        double product = 0, left = n - (double)lag;
        for (size_t i = 0; i + lag < count; i++)
            product += ranks[i] * ranks[i + lag];
        if (fabs(product / power) > Z95 / sqrt(n))
            sum += left * (left - 1) * (left - 2) * product / power;
    }
    return fmax(1, 1 + 2 * sum / (n * (n - 1) * (n - 2)));
}

static size_t slopes_of(const double *x, const double *y, size_t count, double *ret_slopes)
{
    size_t pairs = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++)
            if (x[k] > x[i])
                ret_slopes[pairs++] = (y[k] - y[i]) / (x[k] - x[i]);
    qsort(ret_slopes, pairs, sizeof(*ret_slopes), ascending);
    return pairs;
}

static double at_rank(const double *sorted, size_t count, double rank)
{
    double last = (double)count - 1, place = fmin(fmax(rank, 0), last), below = floor(place);
    size_t index = (size_t)below;
    return index + 1 < count ? sorted[index] + (place - below) * (sorted[index + 1] - sorted[index])
                             : sorted[index];
}

struct trend trend_of(const double *x, const double *y, size_t count)
{
    double slopes[PAIRS];
    struct trend trend = {0};
    if (count > TREND_POINTS)
        count = TREND_POINTS;
    size_t pairs = count >= FEWEST ? slopes_of(x, y, count, slopes) : 0;
    if (pairs == 0)
        return trend;
    double middle = ((double)pairs - 1) / 2;
    trend.slope.estimate = at_rank(slopes, pairs, middle);
    double s = concordance(y, count);
    double sd = sqrt(variance(y, count) * correction(x, y, count, trend.slope.estimate));
    if (sd > 0 && s != 0)
        trend.z = (s - copysign(1, s)) / sd;
    trend.slope.low = at_rank(slopes, pairs, middle - Z95 * sd / 2);
    trend.slope.high = at_rank(slopes, pairs, middle + Z95 * sd / 2);
    return trend;
}
