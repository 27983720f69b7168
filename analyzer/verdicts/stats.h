/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The few statistics that verdicts need. Pure functions; intervals cover 95 %. */
#ifndef STRAY_VERDICTS_STATS_H
#define STRAY_VERDICTS_STATS_H

#include <stddef.h>
#include <stdint.h>

struct interval {
    double estimate, low, high;
};

/* A share of n: Wilson's score interval. n = 0: 0 to 1. */
struct interval stats_share(uint64_t successes, uint64_t n);

/* Events per unit of `span`, from `n` seen: the exact Poisson interval (above 100: Wilson and Hilferty's
 * approximation of it). span must be above 0. */
struct interval stats_rate(uint64_t n, double span);

/* A number of things estimated by the sum of weights of those that were met, one by one at random; `squares`: the sum of the
 * squares of the weights. As uncertain as sum * sum / squares things of one weight. */
struct interval stats_weighted(double sum, double squares);

/* The q-quantile, interpolated between order statistics. Sorts `values`. count 0: 0. */
double stats_quantile(double *values, size_t count, double q);

#endif
