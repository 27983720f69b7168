/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/cohorts.h"

#include <math.h>
#include <stdlib.h>

#define GROUPS      16
#define A_GROUP     4 /* survivors that one group should have, were they spread evenly */
#define ONSET_SHARE 0.01
#define OUTLIER     4   /* times the median: more in one window is a load of something else */
#define DUE         4.6 /* where so many are due, none comes by chance once in a hundred times */
#define LONGER      1.5
#define PROMPT      4 /* windows: an onset so soon is no onset, it had begun before */
#define MOST_ORDER  8.0
#define WIDEST_LUMP 8 /* windows */
#define TAIL_WINDOWS 16
#define TAIL_LEAST   30 /* survivors in a tail */
#define TAIL_PACE    0.7 /* of the last half of a tail, to the half before */
#define UNLIKE       2   /* times the scatter in the tail: no power of the work looks like this */
#define ONE_SIDED_95 1.645

static uint64_t sum(const uint32_t *counts, unsigned from, unsigned to)
{
    uint64_t total = 0;
    for (unsigned i = from; i < to; i++)
        total += counts[i];
    return total;
}

static unsigned onset_of(const uint32_t *born, unsigned end)
{
    double total = (double)sum(born, 0, end), seen = 0;
    for (unsigned i = 0; i < end; i++) {
        seen += born[i];
        if (seen > ONSET_SHARE * total)
            return i;
    }
    return end;
}

static void share_out(const uint32_t *born, struct cohorts *cohorts)
{
    uint64_t best = 0, second = 0;
    unsigned windows = cohorts->end - cohorts->onset, held = 0;
    cohorts->groups = (unsigned)fmin(fmin(GROUPS, (double)(cohorts->survivors / A_GROUP)), windows);
    for (unsigned i = 0; i < cohorts->groups; i++) {
        uint64_t here = sum(born, cohorts->onset + i * windows / cohorts->groups,
                            cohorts->onset + (i + 1) * windows / cohorts->groups);
        held += here > 0;
        if (here >= best) {
            second = best;
            best = here;
        } else if (here > second) {
            second = here;
        }
    }
    cohorts->generations = cohorts->groups ? (double)held / cohorts->groups : 0;
    cohorts->top_two = cohorts->survivors ? (double)(best + second) / (double)cohorts->survivors : 0;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* What a window may count for in the order of growth: one table loaded in between shall not hide a leak. */
static double most_of_one(const uint32_t *born, const struct cohorts *cohorts)
{
    uint32_t sorted[COHORT_WINDOWS];
    unsigned count = cohorts->end - cohorts->onset;
    for (unsigned i = 0; i < count; i++)
        sorted[i] = born[cohorts->onset + i];
    qsort(sorted, count, sizeof(*sorted), ascending);
    return fmax(OUTLIER, OUTLIER * (double)sorted[count / 2]);
}

/* Work, in windows: done before the onset, by half of the cohorts, and by all. */
struct stretch {
    double before, half, all;
};

/* x^order but for a factor and a term, so that order 0 has a limit: log(x). */
static double power(double x, double order)
{
    return fabs(order) < 1e-9 ? log(x) : (pow(x, order) - 1) / order;
}

/* Logarithm of how much more there is of something of this order at the end than at half, when what came
 * before the onset was not counted. It rises with the order. */
static double log_gain(const struct stretch *stretch, double order)
{
    if (stretch->before <= 0)
        return order * log(stretch->all / stretch->half);
    return log(power(1 + stretch->all / stretch->before, order) /
               power(1 + stretch->half / stretch->before, order));
}

static double order_for(const struct stretch *stretch, double gain)
{
    double low = -MOST_ORDER, high = MOST_ORDER;
    for (int i = 0; i < 50; i++) {
        double middle = (low + high) / 2;
        if (log_gain(stretch, middle) < gain)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

static void find_order(const uint32_t *born, double lead, struct cohorts *cohorts)
{
    unsigned windows = cohorts->end - cohorts->onset, half = windows / 2;
    double at_half = 0, at_end = 0;
    cohorts->order = cohorts->order_sd = 1;
    if (half == 0)
        return;
    double most = most_of_one(born, cohorts);
    for (unsigned i = 0; i < windows; i++) {
        at_end += fmin(born[cohorts->onset + i], most);
        if (i + 1 == half)
            at_half = at_end;
    }
    if (at_half < 1)
        return;
    struct stretch stretch = {cohorts->onset <= PROMPT ? lead + cohorts->onset : 0, half, windows};
    cohorts->order = order_for(&stretch, log(at_end / at_half));
    double gain =
        (log_gain(&stretch, cohorts->order + 0.01) - log_gain(&stretch, cohorts->order - 0.01)) / 0.02;
    cohorts->order_sd = sqrt(fmax(0, 1 / at_half - 1 / at_end)) / gain;
}

/* Mean of the logarithm of x over a stretch of it, evenly. */
static double mean_log(double from, double to)
{
    double lower = from > 0 ? from * log(from) : 0;
    return (to * log(to) - lower) / (to - from) - 1;
}

/* ... where there is so much more of it as the power of this order says. */
static double expected_log(double from, double to, double order)
{
    double share = from > 0 ? pow(from / to, order) : 0; /* that was there before */
    double lower = share > 0 ? share * log(from) : 0;
    return (log(to) - lower) / (1 - share) - 1 / order;
}

struct order {
    double estimate, sd;
};

/* The most likely order: that by which the logarithms of the places of birth have the mean they have. All
 * windows speak, so fewer births tell a root from a line. */
static struct order likely_order(const uint32_t *born, double lead, const struct cohorts *cohorts)
{
    double base = cohorts->onset <= PROMPT ? lead + cohorts->onset : 0, end = base + (cohorts->end - cohorts->onset);
    double most = most_of_one(born, cohorts), count = 0, logs = 0, low = 0.01, high = MOST_ORDER;
    for (unsigned i = cohorts->onset; i < cohorts->end; i++) {
        double here = fmin(born[i], most), from = base + (i - cohorts->onset);
        count += here;
        logs += here * mean_log(from, from + 1);
    }
    for (int i = 0; i < 40; i++) {
        double middle = (low + high) / 2;
        if (expected_log(base, end, middle) < logs / count)
            low = middle;
        else
            high = middle;
    }
    double slope = (expected_log(base, end, low + 0.01) - expected_log(base, end, fmax(0.001, low - 0.01))) / 0.02;
    return (struct order){low, 1 / sqrt(count * slope)};
}

double cohorts_likely_order_high(const uint32_t *born, const struct cohorts *cohorts, double lead, double unevenness)
{
    struct order order = likely_order(born, lead, cohorts);
    return order.estimate + ONE_SIDED_95 * order.sd * sqrt(unevenness);
}

struct cohorts cohorts_of(const uint32_t *born, unsigned end, double lead)
{
    struct cohorts cohorts = {.onset = onset_of(born, end), .end = end};
    cohorts.survivors = sum(born, cohorts.onset, end);
    share_out(born, &cohorts);
    find_order(born, lead, &cohorts);
    return cohorts;
}

static double unevenness_of(const uint32_t *born, const struct cohorts *cohorts, unsigned width)
{
    double total = 0;
    unsigned pairs = 0;
    for (unsigned i = cohorts->onset; i + 2 * width <= cohorts->end; i += width) {
        double here = (double)sum(born, i, i + width), next = (double)sum(born, i + width, i + 2 * width);
        if (here + next <= 0)
            continue;
        total += (here - next) * (here - next) / (here + next);
        pairs++;
    }
    return pairs ? total / pairs : 1;
}

double cohorts_unevenness(const uint32_t *born, const struct cohorts *cohorts)
{
    double most = 1;
    for (unsigned width = 1; width <= WIDEST_LUMP; width *= 2)
        most = fmax(most, unevenness_of(born, cohorts, width));
    return most;
}

/* ---- the tail ---- */

/* By how much counts scatter about what is expected of them, by what chance alone would do: 1. */
static double scatter(const uint32_t *born, unsigned from, unsigned to, const double *expected)
{
    double sum_of = 0;
    for (unsigned i = from; i < to; i++)
        sum_of += (born[i] - expected[i]) * (born[i] - expected[i]) / fmax(expected[i], 0.5);
    return sum_of / fmax(1, to - from - 1);
}

static double scatter_if_even(const uint32_t *born, unsigned from, unsigned to)
{
    double expected[COHORT_WINDOWS], each = (double)sum(born, from, to) / (to - from);
    for (unsigned i = from; i < to; i++)
        expected[i] = each;
    return scatter(born, from, to, expected);
}

static double scatter_if_power(const uint32_t *born, const struct cohorts *cohorts, double lead)
{
    double expected[COHORT_WINDOWS], base = lead + cohorts->onset;
    double order = fmax(0.01, cohorts->order), all = (double)(cohorts->end - cohorts->onset);
    double whole = pow(base + all, order) - pow(base, order);
    for (unsigned i = cohorts->onset; i < cohorts->end; i++) {
        double from = base + (i - cohorts->onset);
        expected[i] = (double)cohorts->survivors * (pow(from + 1, order) - pow(from, order)) / whole;
    }
    return scatter(born, cohorts->onset, cohorts->end, expected);
}

static bool keeps_pace(const uint32_t *born, unsigned from, unsigned to, double spread)
{
    unsigned middle = from + (to - from) / 2;
    double first = (double)sum(born, from, middle) / (middle - from);
    double second = (double)sum(born, middle, to) / (to - middle);
    double doubt = sqrt(spread * (first / (middle - from) + second / (to - middle)));
    return second >= TAIL_PACE * first && first - second <= ONE_SIDED_95 * doubt;
}

bool cohorts_go_on(const uint32_t *born, const struct cohorts *cohorts, double lead, struct cohorts *ret_tail)
{
    unsigned windows = cohorts->end - cohorts->onset;
    struct cohorts tail = {.onset = cohorts->onset + windows / 2, .end = cohorts->end, .order = 1};
    tail.survivors = sum(born, tail.onset, tail.end);
    if (windows < TAIL_WINDOWS || tail.survivors < TAIL_LEAST)
        return false;
    double spread = fmax(1, scatter_if_even(born, tail.onset, tail.end));
    if (!keeps_pace(born, tail.onset, tail.end, spread) || scatter_if_power(born, cohorts, lead) < UNLIKE * spread)
        return false;
    share_out(born, &tail);
    *ret_tail = tail;
    return true;
}

unsigned cohorts_until(const double *window_end, double time)
{
    unsigned end = 0;
    while (end < COHORT_WINDOWS && window_end[end] <= time)
        end++;
    return end;
}

bool cohorts_ceased(const uint32_t *born, unsigned least)
{
    unsigned first = COHORT_WINDOWS, last = 0, longest = 0;
    for (unsigned i = 0; i < COHORT_WINDOWS; i++) {
        if (born[i] == 0)
            continue;
        if (first == COHORT_WINDOWS)
            first = i;
        else if (i - last - 1 > longest)
            longest = i - last - 1;
        last = i;
    }
    if (first == COHORT_WINDOWS)
        return true;
    unsigned silence = COHORT_WINDOWS - 1 - last;
    double rate = (double)sum(born, first, last + 1) / (last + 1 - first);
    return silence > LONGER * longest && silence >= least && rate * silence >= DUE;
}
