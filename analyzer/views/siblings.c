/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connections that each of several workers leaks too few of to be told so. Workers that one parent forked do the same work, whichever
 * of them a request happens to come to: what one of them is known to leak the others leak as well, and what none has enough of
 * they may have together.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "views/likeness.h"
#include "views/report_steps.h"

#define TOGETHER_MIN 5 /* leaked ones */
#define CERTAIN_MIN  3 /* ... of which none was used after the next one had come */
#define WORKERS_MIN  2 /* that have some of these */
#define MOST_MIN     3 /* that one of them has: two may be a pair, one to read from and one to write to */

static bool has_parent(const uint8_t *parent_id)
{
    static const uint8_t none[16];
    return memcmp(parent_id, none, sizeof(none)) != 0;
}

static int suspect_add(struct report *report, const struct report_finding *finding, const struct finding *from, enum verdict quiet,
                       const struct report_process *process)
{
    size_t number = report->suspect_count;
    if (!finding->site)
        return 0;
    struct report_suspect *suspect = report_append(&report->suspects, &report->suspect_count, sizeof(*suspect));
    if (!suspect)
        return -ENOMEM;
    *suspect = (struct report_suspect){.finding = *finding, .certain = from->certain, .quiet = quiet, .pid = process->pid, .run = process->run, .number = number};
    memcpy(suspect->parent_id, process->parent_id, sizeof(suspect->parent_id));
    return report_keep_stack(report, &suspect->finding);
}

int report_add_suspects(struct report *report, const struct lives *lives, const struct folds *folds, const struct judged *judged,
                        const struct report_stacks *stacks, const struct report_process *process)
{
    int result = 0;
    if (!process->forked || !has_parent(process->parent_id))
        return 0;
    for (size_t i = 0; result == 0 && i < judged->suspect_count; i++) {
        const struct finding *from = &judged->suspects[i];
        struct report_finding finding;
        result = report_judged(report, lives, &folds->items[from->fold], from, stacks, &finding);
        if (result == 0)
            result = suspect_add(report, &finding, from, judged->verdicts[from->fold], process);
    }
    return result;
}

/* ---- when all processes have been added ---- */

static bool is_alike(const struct report_finding *a, const struct report_finding *b)
{
    return a->verdict == b->verdict && a->resource == b->resource && same_text(a->peer, b->peer) && a->site && b->site &&
           report_frame_order(a->site, b->site) == 0;
}

static bool is_sibling(const struct report_suspect *suspect, uint32_t run, const uint8_t *parent_id)
{
    return suspect->run == run && memcmp(suspect->parent_id, parent_id, sizeof(suspect->parent_id)) == 0;
}

/* Those of one place in processes of one parent stand together, in the order in which they came. */
static int compare_kin(const struct report_suspect *a, const struct report_suspect *b)
{
    const char *peers[] = {a->finding.peer ? a->finding.peer : "", b->finding.peer ? b->finding.peer : ""};
    int order = (a->run > b->run) - (a->run < b->run);
    order = order ? order : memcmp(a->parent_id, b->parent_id, sizeof(a->parent_id));
    order = order ? order : (a->finding.resource > b->finding.resource) - (a->finding.resource < b->finding.resource);
    order = order ? order : strcmp(peers[0], peers[1]);
    return order ? order : report_frame_order(a->finding.site, b->finding.site);
}

static int compare_suspects(const void *left, const void *right)
{
    const struct report_suspect *a = left, *b = right;
    int order = compare_kin(a, b);
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

/* Whether a process of the finding has the same parent. */
static bool leaks_in_sibling(const struct report *report, const struct report_finding *finding, const struct report_suspect *suspect)
{
    for (size_t i = 0; i < report->process_count; i++) {
        const struct report_process *process = &report->processes[i];
        if (!process->forked || !is_sibling(suspect, process->run, process->parent_id))
            continue;
        for (size_t k = 0; k < finding->pid_count; k++)
            if (finding->pids[k] == process->pid)
                return true;
    }
    return false;
}

static bool is_known(const struct report *report, const struct report_suspect *suspect)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct report_finding *finding = &report->findings[i];
        if (is_alike(finding, &suspect->finding) && leaks_in_sibling(report, finding, suspect))
            return true;
    }
    return false;
}

static bool is_much_together(const struct report_suspect *suspects, size_t suspect_count)
{
    uint64_t count = 0, certain = 0, workers = 0, most = 0, least = UINT64_MAX;
    for (size_t i = 0; i < suspect_count; i++) {
        const struct report_suspect *suspect = &suspects[i];
        count += suspect->finding.count;
        certain += suspect->certain;
        workers += suspect->certain > 0;
        most = suspect->finding.count > most ? suspect->finding.count : most;
        least = suspect->finding.count < least ? suspect->finding.count : least;
    }
    /* As many in each are a set that each has: one for each database, say. Requests are not shared out so evenly. */
    return count >= TOGETHER_MIN && certain >= CERTAIN_MIN && workers >= WORKERS_MIN && most >= MOST_MIN && least < most;
}

static void tell_sites(struct report *report, const struct report_finding *finding)
{
    for (size_t i = 0; i < report->site_count; i++) {
        struct report_site *site = &report->sites[i];
        if (site->resource == finding->resource && site->known && same_text(site->peer, finding->peer) &&
            report_frame_order(&site->site, finding->site) == 0)
            site->verdict = finding->verdict;
    }
}

/* A PGconn leaks as its connection does. */
static int claim_connection(struct report *report, size_t index)
{
    const struct report_finding *finding = &report->findings[index];
    for (size_t i = 0; finding->resource == STRAY_PGCONN && i < report->finding_count; i++) {
        const struct report_finding *other = &report->findings[i];
        if (other->resource == STRAY_CONNECTION && other->verdict == finding->verdict && report_same_place(other, finding))
            return report_claim_cause(report, index, i);
    }
    return 0;
}

/* What each process had to say of these connections while none knew that they leak follows from that they do. */
static int claim_earlier_words(struct report *report, size_t index)
{
    const struct report_finding *finding = &report->findings[index];
    int result = 0;
    for (size_t i = 0; result == 0 && i < report->finding_count; i++) {
        const struct report_finding *other = &report->findings[i];
        if ((other->verdict == VERDICT_OPEN_AT_EXIT || other->verdict == VERDICT_CLOSE_WAIT) && same_text(other->peer, finding->peer) &&
            report_same_place(other, finding) && other->cause == REPORT_NONE)
            result = report_claim_cause(report, i, index);
    }
    return result;
}

static int confirm(struct report *report, struct report_suspect *suspect)
{
    size_t index = REPORT_NONE;
    report->run = suspect->run;
    int result = report_add_finding(report, &suspect->finding, &suspect->pid, 1, &index);
    if (result < 0)
        return result;
    if (suspect->quiet >= VERDICT_PLATEAU && report->quiet[suspect->quiet] > 0)
        report->quiet[suspect->quiet]--;
    tell_sites(report, &report->findings[index]);
    result = claim_earlier_words(report, index);
    return result == 0 ? claim_connection(report, index) : result;
}

static int settle(struct report *report, unsigned resource)
{
    struct report_suspect *suspects = report->suspects;
    int result = 0;
    for (size_t i = 0, next; result == 0 && i < report->suspect_count; i = next) {
        for (next = i + 1; next < report->suspect_count && compare_kin(&suspects[i], &suspects[next]) == 0;)
            next++;
        if (suspects[i].finding.resource != resource || (!is_known(report, &suspects[i]) && !is_much_together(&suspects[i], next - i)))
            continue;
        for (size_t k = i; result == 0 && k < next; k++)
            result = confirm(report, &suspects[k]);
    }
    return result;
}

int report_settle_siblings(struct report *report)
{
    if (report->suspect_count > 0)
        qsort(report->suspects, report->suspect_count, sizeof(*report->suspects), compare_suspects);
    int result = settle(report, STRAY_CONNECTION);
    if (result == 0)
        result = settle(report, STRAY_PGCONN);
    free(report->suspects);
    report->suspects = NULL;
    report->suspect_count = 0;
    return result;
}
