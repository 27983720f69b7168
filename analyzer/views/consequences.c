/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which findings of a report follow from others. Processes may disagree, and come in any order: so nothing is believed before all
 * have spoken. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "views/likeness.h"
#include "views/report_steps.h"

bool report_belongs(const struct report_finding *finding, const struct report_finding *cause)
{
    if (finding->resource != STRAY_PYOBJECT)
        return true;
    return report_same_function(finding->site, cause->site) &&
           (!is_memory(cause->resource) || finding->site->line == cause->site->line);
}

int report_claim_cause(struct report *report, size_t finding, size_t cause)
{
    struct report_claim *claim = report_append(&report->claims, &report->claim_count, sizeof(*claim));
    if (!claim)
        return -ENOMEM;
    *claim = (struct report_claim){finding, cause};
    return 0;
}

static bool leads_to(const struct report *report, size_t from, size_t index)
{
    while (from != index && from != REPORT_NONE)
        from = report->findings[from].cause;
    return from == index;
}

/* Of severities and verdicts the first is the gravest. */
static int less_first(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* The weightier first; of as much, by their names. */
static int weight_order(const struct report_finding *a, const struct report_finding *b)
{
    int order = less_first(a->severity, b->severity);
    if (order == 0)
        order = less_first(a->verdict, b->verdict);
    if (order == 0)
        order = less_first(b->bytes, a->bytes);
    if (order == 0)
        order = less_first(b->count, a->count);
    return order ? order : strcmp(a->id, b->id);
}

struct ranked {
    const struct report_finding *finding, *cause;
};

static int claim_order(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    int order = weight_order(a->cause, b->cause);
    return order ? order : weight_order(a->finding, b->finding);
}

/* What was a hint in one process, and went with something there, may be certain in another. */
static bool stands_alone(const struct report_finding *finding, const struct report_finding *cause)
{
    return finding->severity < SEVERITY_NOTE && !report_belongs(finding, cause);
}

int report_settle_causes(struct report *report)
{
    struct ranked *ranked = calloc(report->claim_count + 1, sizeof(*ranked));
    if (!ranked)
        return -ENOMEM;
    for (size_t i = 0; i < report->claim_count; i++)
        ranked[i] = (struct ranked){&report->findings[report->claims[i].finding], &report->findings[report->claims[i].cause]};
    if (report->claim_count > 1)
        qsort(ranked, report->claim_count, sizeof(*ranked), claim_order);
    for (size_t i = 0; i < report->claim_count; i++) {
        size_t finding = (size_t)(ranked[i].finding - report->findings), cause = (size_t)(ranked[i].cause - report->findings);
        if (report->findings[finding].cause == REPORT_NONE && !leads_to(report, cause, finding) &&
            !stands_alone(ranked[i].finding, ranked[i].cause))
            report->findings[finding].cause = cause;
    }
    free(report->claims);
    report->claims = NULL;
    report->claim_count = 0;
    free(ranked);
    return 0;
}
