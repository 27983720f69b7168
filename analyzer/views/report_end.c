/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts a report in order when all processes were added. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "views/kinship.h"
#include "views/likeness.h"
#include "views/places.h"
#include "views/report_steps.h"

/* Connections and what belongs to them first: they run out suddenly, memory slowly. */
static int resource_rank(unsigned resource)
{
    switch (resource) {
    case STRAY_CONNECTION:
        return 0;
    case STRAY_PGCONN:
        return 1;
    case STRAY_SOCKET:
        return 2;
    case STRAY_PGRESULT:
        return 3;
    case STRAY_HEAP:
    case STRAY_PYOBJECT:
        return 5;
    default:
        return 4;
    }
}

static int faster_first(const struct report_finding *a, const struct report_finding *b)
{
    double fast = report_fact(a, "bytes_per_hour"), other = report_fact(b, "bytes_per_hour");
    return (fast < other) - (fast > other);
}

/* Of pointers to findings; those that are alike stay in the order in which they were met. */
static int finding_order(const void *left, const void *right)
{
    const struct report_finding *a = *(const struct report_finding *const *)left, *b = *(const struct report_finding *const *)right;
    int order = (int)a->severity - (int)b->severity;
    if (order == 0)
        order = (a->cause != REPORT_NONE) - (b->cause != REPORT_NONE);
    if (order == 0)
        order = (int)a->verdict - (int)b->verdict;
    if (order == 0)
        order = resource_rank(a->resource) - resource_rank(b->resource);
    if (order == 0)
        order = faster_first(a, b);
    if (order == 0)
        order = more_first(a->bytes, b->bytes);
    if (order == 0)
        order = more_first(a->count, b->count);
    if (order == 0)
        order = report_frame_order(a->site, b->site);
    if (order == 0)
        order = (int)a->resource - (int)b->resource;
    if (order == 0)
        order = text_order(a->peer, b->peer);
    if (order == 0)
        order = text_order(a->statement, b->statement);
    return order ? order : (a > b) - (a < b);
}

static int process_order(const void *left, const void *right)
{
    const struct report_process *a = left, *b = right;
    if (a->start_realtime_ns != b->start_realtime_ns)
        return a->start_realtime_ns < b->start_realtime_ns ? -1 : 1;
    return (a->pid > b->pid) - (a->pid < b->pid);
}

static int site_order(const void *left, const void *right)
{
    const struct report_site *a = left, *b = right;
    int order = (int)a->resource - (int)b->resource;
    if (order == 0)
        order = more_first(a->bytes_open, b->bytes_open);
    if (order == 0)
        order = more_first(a->open, b->open);
    if (order == 0)
        order = more_first(a->opened, b->opened);
    if (order == 0)
        order = (int)b->known - (int)a->known;
    if (order == 0)
        order = report_frame_order(&a->site, &b->site);
    return order ? order : text_order(a->peer, b->peer);
}

static int peer_order(const void *left, const void *right)
{
    const struct report_peer *a = left, *b = right;
    int order = (int)a->server - (int)b->server;
    if (order == 0)
        order = more_first(a->open, b->open);
    if (order == 0)
        order = more_first(a->opened, b->opened);
    return order ? order : strcmp(a->text, b->text);
}

static int pid_order(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void sort(void *items, size_t count, size_t size, int (*order)(const void *, const void *))
{
    if (count > 1)
        qsort(items, count, size, order);
}

/* Causes are indices, and move with the findings. */
static int sort_findings(struct report *report)
{
    size_t count = report->finding_count;
    const struct report_finding **order = calloc(count + 1, sizeof(*order));
    size_t *moved_to = calloc(count + 1, sizeof(*moved_to));
    struct report_finding *sorted = calloc(count + 1, sizeof(*sorted));
    int result = order && moved_to && sorted ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < count; i++)
        order[i] = &report->findings[i];
    if (result == 0)
        sort(order, count, sizeof(*order), finding_order);
    for (size_t i = 0; result == 0 && i < count; i++) {
        sorted[i] = *order[i];
        moved_to[order[i] - report->findings] = i;
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        if (sorted[i].cause != REPORT_NONE)
            sorted[i].cause = moved_to[sorted[i].cause];
        report->findings[i] = sorted[i];
    }
    free(order);
    free(moved_to);
    free(sorted);
    return result;
}

/* Two places may share a hash: the later one by sight gets a number. */
static void tell_ids_apart(struct report *report)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        unsigned same = 1;
        for (size_t k = 0; k < i; k++)
            same +=
                strncmp(report->findings[k].id, report->findings[i].id, strlen(report->findings[i].id)) == 0;
        size_t length = strlen(report->findings[i].id);
        if (same > 1)
            snprintf(report->findings[i].id + length, sizeof(report->findings[i].id) - length, "-%u", same);
    }
}

static double total_duration(const struct report *report)
{
    double longest = 0;
    uint64_t begin = report->process_count ? report->processes[0].start_realtime_ns : 0;
    for (size_t i = 0; i < report->process_count; i++) {
        const struct report_process *process = &report->processes[i];
        double later = begin && process->start_realtime_ns > begin
                           ? (double)(process->start_realtime_ns - begin) / 1e9
                           : 0;
        if (later + process->duration_s > longest)
            longest = later + process->duration_s;
    }
    return longest;
}

int report_end(struct report *report)
{
    report_settle_ends(report);
    report_settle_last_uses(report);
    int result = report_settle_siblings(report);
    if (result == 0)
        result = report_settle_causes(report);
    if (result == 0)
        result = kinship_judge(report);
    if (result < 0)
        return result;
    sort(report->processes, report->process_count, sizeof(*report->processes), process_order);
    sort(report->sites, report->site_count, sizeof(*report->sites), site_order);
    sort(report->peers, report->peer_count, sizeof(*report->peers), peer_order);
    if (report->places && places_end(report->places) < 0)
        return -ENOMEM;
    report->duration_s = total_duration(report);
    tell_ids_apart(report);
    result = report_end_outlook(report);
    if (result == 0)
        result = sort_findings(report);
    for (size_t i = 0; result == 0 && i < report->finding_count; i++) {
        struct report_finding *finding = &report->findings[i];
        sort(finding->pids, finding->pid_count, sizeof(*finding->pids), pid_order);
        finding->message = report_message(report, finding);
        result = finding->message ? 0 : -ENOMEM;
    }
    for (size_t i = 0; i < report->site_count; i++)
        sort(report->sites[i].pids, report->sites[i].pid_count, sizeof(uint32_t), pid_order);
    return result;
}
