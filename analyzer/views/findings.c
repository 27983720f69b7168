/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one process was judged for, added up with what others were. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "hash.h"
#include "read/words.h"
#include "views/likeness.h"
#include "views/report_steps.h"

/* The same place gives the same id in every trace of the same program. */
static void name_finding(struct report_finding *finding)
{
    uint64_t hash = HASH_BEGIN;
    if (finding->site) {
        hash = hash_text(hash_text(hash, finding->site->function), finding->site->file);
        hash = hash_bytes(hash, &finding->site->line, sizeof(finding->site->line));
        hash = hash_text(hash, finding->site->module);
        if (!finding->site->function && !finding->site->line)
            hash = hash_bytes(hash, &finding->site->offset, sizeof(finding->site->offset));
    }
    hash = hash_text(hash, finding->peer);
    if (finding->statement)
        hash = hash_text(hash, finding->statement);
    if (finding->call)
        hash = hash_text(hash, finding->call);
    snprintf(finding->id, sizeof(finding->id), "%s-%s-%08x", verdict_name(finding->verdict),
             resource_label(finding->resource), (unsigned)(hash ^ hash >> 32));
}

int report_judged(struct report *report, const struct lives *lives, const struct fold *fold, const struct finding *from,
                  const struct report_stacks *stacks, struct report_finding *ret_finding)
{
    int result = report_place(report, lives, fold, stacks, ret_finding);
    ret_finding->verdict = from->verdict;
    ret_finding->severity = from->severity;
    ret_finding->confidence = from->confidence;
    ret_finding->count = from->count;
    ret_finding->bytes = from->bytes;
    ret_finding->estimated = from->estimated;
    ret_finding->tally = from->tally;
    ret_finding->rated = from->rated;
    ret_finding->rate_per_hour = from->rate_per_hour;
    ret_finding->first_s = from->first_s;
    ret_finding->last_s = from->last_s;
    ret_finding->fact_count = from->fact_count;
    if (from->example)
        ret_finding->example = report_keep(report, lives->source.endpoint(lives->source.data, from->example));
    memcpy(ret_finding->facts, from->facts, sizeof(from->facts));
    return result;
}

static enum likeness finding_likeness(const struct report *report, size_t index, const void *wanted)
{
    const struct report_finding *a = &report->findings[index], *b = wanted;
    bool same = a->verdict == b->verdict && a->resource == b->resource && a->server == b->server &&
                same_text(a->peer, b->peer) && same_text(a->statement, b->statement) &&
                same_text(a->call, b->call);
    return same ? likeness(report, a->site, a->runs[0], b->site) : LIKE_NOTHING;
}

/* Counted of opened, over all processes. Of blocks it is an estimate of the site's own, and stays. */
static void share_again(struct report_finding *finding)
{
    double *values[3] = {NULL}, opened = 0;
    static const char *const names[] = {"never_released", "never_released_low", "never_released_high"};
    for (size_t i = 0; i < finding->fact_count; i++) {
        for (size_t k = 0; k < 3; k++) {
            if (strcmp(finding->facts[i].name, names[k]) == 0)
                values[k] = &finding->facts[i].value;
        }
        if (strcmp(finding->facts[i].name, "opened") == 0)
            opened = finding->facts[i].value;
    }
    if (!values[0] || !values[1] || !values[2] || finding->bytes > 0 || finding->count > opened)
        return;
    struct interval share = stats_share(finding->count, (uint64_t)opened);
    *values[0] = share.estimate;
    *values[1] = share.low;
    *values[2] = share.high;
}

static void finding_merge(struct report_finding *into, const struct report_finding *from)
{
    into->count += from->count;
    into->bytes += from->bytes;
    into->estimated |= from->estimated;
    tally_join(&into->tally, &from->tally);
    into->first_s = from->first_s < into->first_s ? from->first_s : into->first_s;
    into->last_s = from->last_s > into->last_s ? from->last_s : into->last_s;
    into->severity = from->severity < into->severity ? from->severity : into->severity;
    into->confidence = from->confidence < into->confidence ? from->confidence : into->confidence;
    into->example = into->example ? into->example : from->example;
    into->rated |= from->rated;
    into->rate_per_hour.estimate += from->rate_per_hour.estimate;
    into->rate_per_hour.low += from->rate_per_hour.low;
    into->rate_per_hour.high += from->rate_per_hour.high;
    for (size_t i = 0; i < into->fact_count; i++) {
        for (size_t k = 0; k < from->fact_count; k++) {
            if (into->facts[i].summed && strcmp(into->facts[i].name, from->facts[k].name) == 0)
                into->facts[i].value += from->facts[k].value;
        }
    }
    share_again(into);
}

/* NULL without memory. */
static struct report_finding *finding_new(struct report *report, const struct report_finding *finding)
{
    struct report_finding *added = report_append(&report->findings, &report->finding_count, sizeof(*added));
    if (!added)
        return NULL;
    *added = *finding;
    name_finding(added);
    return report_keep_stack(report, added) < 0 ? NULL : added;
}

int report_add_finding(struct report *report, const struct report_finding *finding, const uint32_t *pids,
                       size_t pid_count, size_t *ret_index)
{
    size_t index = most_alike(report, report->finding_count, finding_likeness, finding);
    struct report_finding *known = index == REPORT_NONE ? finding_new(report, finding) : &report->findings[index];
    if (index != REPORT_NONE)
        finding_merge(known, finding);
    int result = known ? report_add_number(report, &known->runs, &known->run_count, report->run) : -ENOMEM;
    for (size_t i = 0; result == 0 && i < pid_count; i++)
        result = report_add_number(report, &known->pids, &known->pid_count, pids[i]);
    if (result == 0)
        *ret_index = (size_t)(known - report->findings);
    return result;
}

int report_add_findings(struct report *report, const struct lives *lives, const struct folds *folds,
                        const struct judged *judged, const struct report_stacks *stacks, uint32_t pid)
{
    size_t *place = calloc(judged->count + 1, sizeof(*place));
    int result = place ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < judged->count; i++) {
        struct report_finding copy;
        const struct finding *finding = &judged->findings[i];
        result = report_judged(report, lives, &folds->items[finding->fold], finding, stacks, &copy);
        if (result == 0)
            result = report_add_finding(report, &copy, &pid, 1, &place[i]);
        if (result == 0)
            result = report_add_last_uses(report, lives, judged, &folds->items[finding->fold], stacks, &report->findings[place[i]]);
    }
    for (size_t i = 0; result == 0 && i < judged->count; i++) {
        if (judged->findings[i].cause != LIVES_NONE)
            result = report_claim_cause(report, place[i], place[judged->findings[i].cause]);
    }
    free(place);
    return result;
}
