/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/trend.h"

#include <math.h>

#define FEWEST 4
#define PAIRS  (TREND_POINTS * (TREND_POINTS - 1) / 2)
#define Z95    1.959963984540054

/* A stretch [from, to) of values: those before it are no larger, those behind it no smaller. */
struct stretch {
    size_t from, to;
};

static void swap(double *a, double *b)
{
    double kept = *a;
    *a = *b;
    *b = kept;
}

/* Puts what equals a value from the middle in its place, and what is smaller and larger on its sides. */
static struct stretch part(double *values, struct stretch whole)
{
    double pivot = values[whole.from + (whole.to - whole.from) / 2];
    size_t smaller = whole.from, larger = whole.to;
    for (size_t i = whole.from; i < larger;) {
        if (values[i] < pivot)
            swap(&values[i++], &values[smaller++]);
        else if (values[i] > pivot)
            swap(&values[i], &values[--larger]);
        else
            i++;
    }
    return (struct stretch){smaller, larger};
}

/* Hoare's selection: what would stand at `index`, were the values sorted. They are sorted a little further each time. */
static double select_at(double *values, size_t count, size_t index)
{
    struct stretch whole = {0, count};
    for (;;) {
        struct stretch equal = part(values, whole);
        if (index < equal.from)
            whole.to = equal.from;
        else if (index >= equal.to)
            whole.from = equal.to;
        else
            return values[index];
    }
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
    return pairs;
}

/* Between two values, as a rank between two whole ones. */
static double at_rank(double *values, size_t count, double rank)
{
    double last = (double)count - 1, place = fmin(fmax(rank, 0), last), below = floor(place);
    size_t index = (size_t)below;
    double value = select_at(values, count, index);
    return index + 1 < count ? value + (place - below) * (select_at(values, count, index + 1) - value) : value;
}

/* What Mann and Kendall's S is expected to scatter by. */
static double spread_of(const double *x, const double *y, size_t count, double slope)
{
    return sqrt(variance(y, count) * correction(x, y, count, slope));
}

static double z_of(double s, double spread)
{
    return spread > 0 && s != 0 ? (s - copysign(1, s)) / spread : 0;
}

static size_t fewer(size_t count)
{
    return count < TREND_POINTS ? count : TREND_POINTS;
}

static double middle_of(size_t pairs)
{
    return ((double)pairs - 1) / 2;
}

double trend_z(const double *x, const double *y, size_t count)
{
    double slopes[PAIRS];
    count = fewer(count);
    double s = count >= FEWEST ? concordance(y, count) : 0;
    size_t pairs = s != 0 ? slopes_of(x, y, count, slopes) : 0;
    return pairs ? z_of(s, spread_of(x, y, count, at_rank(slopes, pairs, middle_of(pairs)))) : 0;
}

struct trend trend_of(const double *x, const double *y, size_t count)
{
    double slopes[PAIRS];
    struct trend trend = {0};
    count = fewer(count);
    size_t pairs = count >= FEWEST ? slopes_of(x, y, count, slopes) : 0;
    if (pairs == 0)
        return trend;
    double middle = middle_of(pairs);
    trend.slope.estimate = at_rank(slopes, pairs, middle);
    double spread = spread_of(x, y, count, trend.slope.estimate);
    trend.z = z_of(concordance(y, count), spread);
    trend.slope.low = at_rank(slopes, pairs, middle - Z95 * spread / 2);
    trend.slope.high = at_rank(slopes, pairs, middle + Z95 * spread / 2);
    return trend;
}
