/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/heap.h"

#include <math.h>
#include <stddef.h>

#define STATIC_LIVE       10
#define STATIC_SHARE      0.8
#define GROUPS            16
#define MIN_SURVIVORS     8
#define MIN_GENERATIONS   0.75
#define MAX_HAZARD        0.5
#define SURVIVOR_SHARE    0.02 /* of the peak */
#define DEFERRED_SHARE    0.5
#define CHURN_PEAK        0.2
#define LINEAR            0.9 /* growth order whose interval must reach it to be called linear */
#define FLAT              0.25
#define LATE_ONSET        0.6 /* growth that began after so much of the axis is too young to call */
#define ONE_SIDED_95      1.645
#define FLOOR_BYTES       1048576.0
#define FLOOR_SHARE       0.01
#define FLOOR_COUNT       1000
#define FLOOR_COUNT_BYTES 65536
#define MIN_LIFE_SHARE    0.1 /* a site must have been at it for this share of the run */

/* Cohorts old enough to have been released, from the onset of survival on. */
struct cohorts {
    unsigned onset, end; /* windows [onset, end) */
    uint64_t survivors;
    unsigned groups, held; /* equal-work groups, and those that hold survivors */
    double top_two;        /* share of the survivors in the two richest groups */
};

static uint64_t sum(const uint32_t *counts, unsigned from, unsigned to)
{
    uint64_t total = 0;
    for (unsigned i = from; i < to; i++)
        total += counts[i];
    return total;
}

/* Age that 99.9 % of the released ones did not reach. */
static double release_age(const struct heap_figures *figures)
{
    uint64_t total = sum(figures->released, 0, figures->buckets), seen = 0;
    for (unsigned i = 0; i < figures->buckets; i++) {
        seen += figures->released[i];
        if ((double)seen >= 0.999 * (double)total && total > 0)
            return figures->bucket_age[i + 1];
    }
    return 0;
}

static double follow_up(const struct heap_figures *figures)
{
    double span = figures->tc - figures->first;
    return fmin(fmax(1.1 * release_age(figures), 0.03 * span), 0.5 * span);
}

static unsigned last_cohort(const struct heap_figures *figures, double age)
{
    unsigned end = 0;
    while (end < HEAP_WINDOWS && figures->window_end[end] <= figures->tc - age)
        end++;
    return end;
}

static unsigned onset_of(const uint32_t *counts, unsigned end)
{
    uint64_t total = sum(counts, 0, end), seen = 0;
    for (unsigned i = 0; i < end; i++) {
        seen += counts[i];
        if ((double)seen > 0.01 * (double)total)
            return i;
    }
    return end;
}

static struct cohorts cohorts_of(const uint32_t *counts, unsigned end)
{
    struct cohorts cohorts = {.onset = onset_of(counts, end), .end = end};
    uint64_t best = 0, second = 0;
    unsigned windows = end - cohorts.onset;
    cohorts.survivors = sum(counts, cohorts.onset, end);
    cohorts.groups = (unsigned)fmin(fmin(GROUPS, (double)(cohorts.survivors / 4)), windows);
    for (unsigned i = 0; i < cohorts.groups; i++) {
        uint64_t held = sum(counts, cohorts.onset + i * windows / cohorts.groups,
                            cohorts.onset + (i + 1) * windows / cohorts.groups);
        cohorts.held += held > 0;
        if (held >= best) {
            second = best;
            best = held;
        } else if (held > second) {
            second = held;
        }
    }
    cohorts.top_two = cohorts.survivors ? (double)(best + second) / (double)cohorts.survivors : 0;
    return cohorts;
}

static double generations(const struct cohorts *cohorts)
{
    return cohorts->groups ? (double)cohorts->held / cohorts->groups : 0;
}

/* Block-time lived beyond `age` by `counts`, each taken at its bucket's middle. */
static double time_beyond(const struct heap_figures *figures, const uint32_t *counts, double age)
{
    double lived = 0;
    for (unsigned i = 0; i < figures->buckets; i++) {
        double middle = (figures->bucket_age[i] + figures->bucket_age[i + 1]) / 2;
        if (counts[i] && middle > age)
            lived += counts[i] * (middle - age);
    }
    return lived;
}

static double hazard(const struct heap_figures *figures, double age)
{
    uint64_t late = 0;
    for (unsigned i = 0; i < figures->buckets; i++)
        late += figures->bucket_age[i] >= age ? figures->released[i] : 0;
    double lived =
        time_beyond(figures, figures->released, age) + time_beyond(figures, figures->surviving, age);
    return lived > 0 ? (figures->tc - figures->first) * (double)late / lived : 0;
}

static void growth_order(const uint32_t *counts, const struct cohorts *cohorts,
                         struct heap_judgement *judgement)
{
    unsigned windows = cohorts->end - cohorts->onset, half = windows / 2;
    double at_half = (double)sum(counts, cohorts->onset, cohorts->onset + half);
    double at_end = (double)cohorts->survivors;
    judgement->order = 1;
    judgement->order_sd = 1;
    if (half == 0 || at_half < 1)
        return;
    double doublings = log((double)windows / half);
    judgement->order = log(at_end / at_half) / doublings;
    judgement->order_sd = sqrt(fmax(0, 1 / at_half - 1 / at_end)) / doublings;
}

/* Kaplan and Meier's estimate, with Greenwood's interval, up to the last age with 20 still at risk. */
static struct interval share_never_released(const struct heap_figures *figures)
{
    double risk =
        (double)(sum(figures->released, 0, figures->buckets) + sum(figures->surviving, 0, figures->buckets));
    double share = 1, variance = 0;
    for (unsigned i = 0; i < figures->buckets && risk >= 20; i++) {
        double deaths = figures->released[i], at_risk = risk - figures->surviving[i] / 2.0;
        if (deaths > 0 && at_risk > 0) {
            share *= fmax(0, 1 - deaths / at_risk);
            variance += at_risk > deaths ? deaths / (at_risk * (at_risk - deaths)) : 0;
        }
        risk -= deaths + figures->surviving[i];
    }
    double half = 1.96 * share * sqrt(variance);
    if (figures->closed == 0)
        return stats_share(figures->alive, figures->opened);
    return (struct interval){share, fmax(0, share - half), fmin(1, share + half)};
}

/* On the axis of allocations a cache that has filled up leaves no trace when nothing more is allocated, so
 * there the survivors must be spread over the time as well. */
static bool spread_in_time(const struct heap_figures *figures)
{
    if (figures->work_is_load)
        return true;
    struct cohorts cohorts = cohorts_of(figures->by_time, HEAP_WINDOWS);
    return generations(&cohorts) >= 0.5 && cohorts.onset < HEAP_WINDOWS / 2 &&
           sum(figures->by_time, 3 * HEAP_WINDOWS / 4, HEAP_WINDOWS) > 0;
}

static bool survives(const struct heap_figures *figures, const struct cohorts *cohorts,
                     const struct heap_judgement *judgement)
{
    return judgement->generations >= MIN_GENERATIONS && cohorts->survivors >= MIN_SURVIVORS &&
           judgement->hazard < MAX_HAZARD &&
           (double)cohorts->survivors >= SURVIVOR_SHARE * (double)figures->peak;
}

static enum verdict grows(const struct heap_figures *figures, const struct cohorts *cohorts,
                          const struct heap_judgement *judgement)
{
    double high = judgement->order + ONE_SIDED_95 * judgement->order_sd;
    double began = (double)cohorts->onset / HEAP_WINDOWS;
    bool goes_on = sum(figures->by_work, HEAP_WINDOWS - HEAP_WINDOWS / 8, HEAP_WINDOWS) > 0;
    if (high < FLAT || !goes_on || !spread_in_time(figures) ||
        figures->tc - figures->first < MIN_LIFE_SHARE * figures->tc)
        return VERDICT_PLATEAU;
    return high < LINEAR || began > LATE_ONSET ? VERDICT_CREEP : VERDICT_LEAKED;
}

static enum verdict quiet(const struct heap_figures *figures, const struct heap_judgement *judgement)
{
    if (figures->alive >= STATIC_LIVE && judgement->hazard >= MAX_HAZARD)
        return VERDICT_TURNOVER;
    if (figures->by_work && figures->alive >= STATIC_LIVE && 2 * figures->alive >= figures->peak &&
        sum(figures->by_work, 2 * HEAP_WINDOWS / 3, HEAP_WINDOWS) == 0)
        return VERDICT_PLATEAU;
    if ((double)figures->peak < CHURN_PEAK * (double)figures->opened)
        return VERDICT_CHURN;
    return VERDICT_STEADY;
}

struct heap_judgement heap_judge(const struct heap_figures *figures)
{
    struct heap_judgement judgement = {.verdict = VERDICT_FEW, .confidence = CONFIDENCE_MEDIUM};
    judgement.never_released = stats_share(figures->alive, figures->opened);
    if (figures->opened < figures->few || !figures->by_work) {
        judgement.verdict = figures->opened < figures->few ? VERDICT_FEW : quiet(figures, &judgement);
        return judgement;
    }
    double age = follow_up(figures);
    struct cohorts cohorts = cohorts_of(figures->by_work, last_cohort(figures, age));
    judgement.generations = generations(&cohorts);
    judgement.hazard = hazard(figures, age);
    judgement.never_released = share_never_released(figures);
    growth_order(figures->by_work, &cohorts, &judgement);
    bool stepwise = cohorts.groups >= 8 && cohorts.top_two >= STATIC_SHARE;
    if (figures->alive >= STATIC_LIVE && (double)figures->warm >= STATIC_SHARE * (double)figures->alive)
        judgement.verdict = VERDICT_STATIC;
    else if (stepwise && 5 * cohorts.survivors >= figures->alive)
        judgement.verdict = VERDICT_STEP;
    else if ((double)figures->in_runs >= DEFERRED_SHARE * (double)figures->closed &&
             2 * figures->closed >= figures->opened)
        judgement.verdict = VERDICT_DEFERRED;
    else if (survives(figures, &cohorts, &judgement))
        judgement.verdict = grows(figures, &cohorts, &judgement);
    else
        judgement.verdict = quiet(figures, &judgement);
    bool certain = cohorts.survivors >= 50 && judgement.generations >= 0.95;
    judgement.confidence = certain ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
    return judgement;
}

bool heap_above_floor(uint64_t survivors, uint64_t bytes, double rss_growth)
{
    if ((double)bytes >= fmax(FLOOR_BYTES, FLOOR_SHARE * rss_growth))
        return true;
    return survivors >= FLOOR_COUNT && bytes >= FLOOR_COUNT_BYTES && rss_growth < 100 * FLOOR_BYTES;
}
