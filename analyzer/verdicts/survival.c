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

struct interval survival_share(const struct ages *ages)
{
    double share = 1, variance = 0;
    double risk = ages->unseen * total(ages->released, ages->buckets) + total(ages->surviving, ages->buckets);
    for (unsigned i = 0; i < ages->buckets && risk >= AT_RISK; i++) {
        double deaths = ages->unseen * ages->released[i], at_risk = risk - ages->surviving[i] / 2.0;
        if (deaths > 0 && at_risk > 0) {
            share *= fmax(0, 1 - deaths / at_risk);
            variance += at_risk > deaths ? deaths / (at_risk * (at_risk - deaths)) : 0;
        }
        risk -= deaths + ages->surviving[i];
    }
    double half = Z95 * share * sqrt(variance);
    return (struct interval){share, fmax(0, share - half), fmin(1, share + half)};
}
