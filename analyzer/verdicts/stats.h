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

/* A number estimated by the sum of the weights of what was met at random, with the estimated variance of that sum. As uncertain
 * as sum * sum / variance things of one weight; certain where there is no variance. */
struct interval stats_weighted(double sum, double variance);
/* The same where none was met, and each stands for `weight` (at least 1) where it is. */
struct interval stats_unmet(double weight);

/* The q-quantile, interpolated between order statistics. Sorts `values`. count 0: 0. */
double stats_quantile(double *values, size_t count, double q);

#endif
