/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places that acquired something, a row for each, added up over processes. */
#include <errno.h>

#include "compare.h"
#include "views/likeness.h"
#include "views/report_steps.h"

static void add_handles(struct report_site *site, const struct lives *lives, const struct fold *fold)
{
    for (size_t i = 0; i < fold->life_count && site->handle_count < REPORT_HANDLES; i++) {
        const struct life *life = &lives->lives[fold->lives[i]];
        if (life->end == LIFE_OPEN)
            site->handles[site->handle_count++] = life->handle;
    }
}

static enum likeness site_likeness(const struct report *report, size_t index, const void *wanted)
{
    const struct report_site *a = &report->sites[index], *b = wanted;
    bool same = a->resource == b->resource && a->known == b->known && same_text(a->peer, b->peer);
    return same ? likeness(report, &a->site, a->runs[0], &b->site) : LIKE_NOTHING;
}

/* A line may acquire at several addresses: the lowest of all processes stands for it, in whatever order they come. */
static void agree_on_offset(struct report_frame *known, const struct report_frame *other)
{
    if (report_frame_order(known, other) == 0 && other->offset < known->offset) {
        known->offset = other->offset;
        known->code = other->code;
    }
}

/* The first and the last acquire; of several processes, of all of them. */
static void note_times(struct report_site *site, const struct lives *lives, const struct fold *fold,
                       const struct report_process *process)
{
    double first = report_seconds(lives, fold->first);
    double last = report_seconds(lives, fold->last);
    uint64_t start = process->start_realtime_ns;
    uint64_t first_ns = start ? start + (uint64_t)((first > 0 ? first : 0) * 1e9) : 0;
    uint64_t last_ns = start ? start + (uint64_t)((last > 0 ? last : 0) * 1e9) : 0;
    bool fresh = site->pid_count == 0;
    site->first_s = fresh || first < site->first_s ? first : site->first_s;
    site->last_s = fresh || last > site->last_s ? last : site->last_s;
    site->first_realtime_ns = fresh || first_ns < site->first_realtime_ns ? first_ns : site->first_realtime_ns;
    site->last_realtime_ns = fresh || last_ns > site->last_realtime_ns ? last_ns : site->last_realtime_ns;
}

static int site_add(struct report *report, const struct lives *lives, const struct fold *fold,
                    enum verdict verdict, const struct frame *frame, const struct report_process *process)
{
    struct report_site wanted = {.resource = fold->resource, .verdict = verdict, .known = frame != NULL};
    if (frame)
        wanted.site = report_copy_frame(report, frame);
    wanted.peer = report_keep(report, report_peer_of(lives, fold));
    size_t known = report->process_count > 1 ? most_alike(report, report->site_count, site_likeness, &wanted) : REPORT_NONE;
    struct report_site *site = known == REPORT_NONE ? NULL : &report->sites[known];
    if (!site) {
        site = report_append(&report->sites, &report->site_count, sizeof(*site));
        if (!site)
            return -ENOMEM;
        *site = wanted;
    }
    agree_on_offset(&site->site, &wanted.site);
    site->opened += fold->opened;
    site->closed += fold->closed;
    site->open += fold->open;
    site->bytes_open += fold->bytes_open;
    site->estimated |= fold->estimated;
    tally_join(&site->born, &fold->born);
    tally_join(&site->living, &fold->living);
    site->verdict = verdict < site->verdict ? verdict : site->verdict;
    add_handles(site, lives, fold);
    note_times(site, lives, fold, process);
    int result = report_add_number(report, &site->runs, &site->run_count, report->run);
    return result < 0 ? result : report_add_number(report, &site->pids, &site->pid_count, process->pid);
}

int report_add_sites(struct report *report, const struct lives *lives, const struct folds *folds,
                     const struct judged *judged, const struct report_stacks *stacks,
                     const struct report_process *process, bool all)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < folds->count; i++) {
        const struct fold *fold = &folds->items[i];
        enum verdict verdict = judged->verdicts[i];
        if (fold->opened == 0)
            continue;
        if (verdict >= VERDICT_PLATEAU)
            report->quiet[verdict]++;
        else if (verdict == VERDICT_CHURN)
            report->quiet[VERDICT_STEADY]++;
        if (all)
            result = site_add(report, lives, fold, verdict,
                              report_blame_in((void *)(uintptr_t)stacks, fold->stack), process);
    }
    return result;
}
