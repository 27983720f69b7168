/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/survival.h"

#include <math.h>

#define AT_RISK 20
#define Z95     1.959963984540054

static double total(const uint32_t *counts, unsigned buckets)
{
    double sum = 0;
    for (unsigned i = 0; i < buckets; i++)
        sum += counts[i];
    return sum;
}

double survival_quantile(const struct ages *ages, double q)
{
    double all = total(ages->released, ages->buckets), seen = 0;
    for (unsigned i = 0; all > 0 && i < ages->buckets; i++) {
        double here = ages->released[i];
        if (here > 0 && seen + here >= q * all)
            return ages->bound[i] + (q * all - seen) / here * (ages->bound[i + 1] - ages->bound[i]);
        seen += here;
    }
    return 0;
}

/* Time lived beyond `age` by `counts`, each taken at its bucket's middle. */
static double time_beyond(const struct ages *ages, const uint32_t *counts, double age)
{
    double lived = 0;
    for (unsigned i = 0; i < ages->buckets; i++) {
        double middle = (ages->bound[i] + ages->bound[i + 1]) / 2;
        if (counts[i] && middle > age)
            lived += counts[i] * (middle - age);
    }
    return lived;
}

double survival_hazard(const struct ages *ages, double age, double span)
{
    double late = 0;
    for (unsigned i = 0; i < ages->buckets; i++) {
        double width = ages->bound[i + 1] - ages->bound[i], older = (ages->bound[i + 1] - age) / width;
        late += ages->unseen * ages->released[i] * fmin(1, fmax(0, older));
    }
    double lived =
        ages->unseen * time_beyond(ages, ages->released, age) + time_beyond(ages, ages->surviving, age);
    return lived > 0 ? span * late / lived : 0;
}

/* The estimate, as it goes from bucket to bucket. */
struct estimate {
    double share, variance, risk;
};

static struct estimate estimate_begin(const struct ages *ages)
{
    double risk = ages->unseen * total(ages->released, ages->buckets) + total(ages->surviving, ages->buckets);
    return (struct estimate){.share = 1, .risk = risk};
}

static void estimate_pass(const struct ages *ages, unsigned bucket, struct estimate *estimate)
{
    double deaths = ages->unseen * ages->released[bucket], at_risk = estimate->risk - ages->surviving[bucket] / 2.0;
    if (deaths > 0 && at_risk > 0) {
        estimate->share *= fmax(0, 1 - deaths / at_risk);
        estimate->variance += at_risk > deaths ? deaths / (at_risk * (at_risk - deaths)) : 0;
    }
    estimate->risk -= deaths + ages->surviving[bucket];
}

static struct interval estimate_told(const struct estimate *estimate)
{
    double share = estimate->share, half = Z95 * share * sqrt(estimate->variance);
    return (struct interval){share, fmax(0, share - half), fmin(1, share + half)};
}

struct interval survival_share(const struct ages *ages)
{
    struct estimate estimate = estimate_begin(ages);
    for (unsigned i = 0; i < ages->buckets && estimate.risk >= AT_RISK; i++)
        estimate_pass(ages, i, &estimate);
    return estimate_told(&estimate);
}

unsigned survival_curve(const struct ages *ages, struct survival_step *steps)
{
    struct estimate estimate = estimate_begin(ages);
    unsigned count = 0;
    for (unsigned i = 0; i < ages->buckets && estimate.risk >= AT_RISK; i++) {
        estimate_pass(ages, i, &estimate);
        if (ages->released[i] > 0)
            steps[count++] = (struct survival_step){ages->bound[i + 1], estimate_told(&estimate)};
    }
    return count;
}
