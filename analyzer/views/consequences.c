/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which findings of a report follow from others. */
#include "views/likeness.h"
#include "views/report_steps.h"

bool report_belongs(const struct report_finding *finding, const struct report_finding *cause)
{
    return finding->resource != STRAY_PYOBJECT || report_same_function(finding->site, cause->site);
}

static bool leads_to(const struct report *report, size_t from, size_t index)
{
    while (from != index && from != REPORT_NONE)
        from = report->findings[from].cause;
    return from == index;
}

/* Processes may disagree: in each of two the one may follow from the other. The first that was heard is believed. */
void report_take_cause(struct report *report, size_t index, size_t cause)
{
    struct report_finding *finding = &report->findings[index];
    if (finding->cause == REPORT_NONE && !leads_to(report, cause, index))
        finding->cause = cause;
}

void report_stand_alone(struct report *report, size_t index)
{
    struct report_finding *finding = &report->findings[index];
    if (finding->cause != REPORT_NONE && finding->severity < SEVERITY_NOTE &&
        !report_belongs(finding, &report->findings[finding->cause]))
        finding->cause = REPORT_NONE;
}
