/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/stats.h"

#include <math.h>
#include <stdlib.h>

#define Z95         1.959963984540054 /* normal quantile of 0.975 */
#define EXACT_LIMIT 100
#define CERTAIN     1e-12 /* what is left of variances that were added up and taken away again */

struct interval stats_share(uint64_t successes, uint64_t n)
{
    if (n == 0)
        return (struct interval){0, 0, 1};
    double count = (double)n, share = (double)successes / count, z2 = Z95 * Z95;
    double centre = (share + z2 / (2 * count)) / (1 + z2 / count);
    double half = Z95 / (1 + z2 / count) * sqrt(share * (1 - share) / count + z2 / (4 * count * count));
    struct interval interval = {share, fmax(0, centre - half), fmin(1, centre + half)};
    if (successes == 0)
        interval.low = 0;
    if (successes == n)
        interval.high = 1;
    return interval;
}

/* Probability of at most `n` events where `mean` are expected. */
static double poisson_at_most(uint64_t n, double mean)
{
    double term = exp(-mean), sum = term;
    for (uint64_t i = 1; i <= n; i++) {
        term *= mean / (double)i;
        sum += term;
    }
    return sum;
}

/* The mean at which at most `n` events have the given probability: it falls as the mean rises. */
static double poisson_mean(uint64_t n, double probability)
{
    double low = 0, high = 2 * (double)n + 20;
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;
        if (poisson_at_most(n, middle) > probability)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

static double wilson_hilferty(double n, double z)
{
    double root = 1 - 1 / (9 * n) + z / (3 * sqrt(n));
    return n * root * root * root;
}

struct interval stats_rate(uint64_t n, double span)
{
    double low = 0, high;
    if (n > EXACT_LIMIT) {
        low = wilson_hilferty((double)n, -Z95);
        high = wilson_hilferty((double)n + 1, Z95);
    } else {
        low = n ? poisson_mean(n - 1, 0.975) : 0;
        high = poisson_mean(n, 0.025);
    }
    return (struct interval){(double)n / span, low / span, high / span};
}

struct interval stats_weighted(double sum, double variance)
{
    if (sum <= 0)
        return (struct interval){0};
    if (variance <= CERTAIN * sum * sum)
        return (struct interval){sum, sum, sum};
    double n = sum * sum / variance, each = sum / n;
    double low = fmax(0, wilson_hilferty(n, -Z95)), high = wilson_hilferty(n + 1, Z95);
    return (struct interval){sum, fmin(sum, low * each), fmax(sum, high * each)};
}

/* So many that all of them are missed in one of forty cases: each is with the probability 1 - 1 / weight. */
struct interval stats_unmet(double weight)
{
    return (struct interval){0, 0, weight > 1 ? log(0.025) / log1p(-1 / weight) : 0};
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stats_quantile(double *values, size_t count, double q)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), ascending);
    double place = q * (double)(count - 1);
    size_t below = (size_t)place;
    if (below + 1 >= count)
        return values[count - 1];
    return values[below] + (place - (double)below) * (values[below + 1] - values[below]);
}
