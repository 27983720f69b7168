/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adds a process to a report. */
#include <errno.h>
#include <string.h>

#include "views/kinship.h"
#include "views/places.h"
#include "views/report_steps.h"

static int add_peers(struct report *report, const struct lives *lives)
{
    for (size_t i = 0; i < lives->peer_count; i++) {
        const struct peer *from = &lives->peers[i];
        struct report_peer *peer = NULL;
        if (from->opened == 0)
            continue;
        for (size_t k = 0; k < report->peer_count; k++) {
            if (report->peers[k].server == from->server && strcmp(report->peers[k].text, from->text) == 0)
                peer = &report->peers[k];
        }
        if (!peer) {
            peer = report_append(&report->peers, &report->peer_count, sizeof(*peer));
            if (!peer)
                return -ENOMEM;
            peer->text = report_keep(report, from->text);
            peer->server = from->server;
            if (!peer->text)
                return -ENOMEM;
        }
        peer->open += from->open;
        peer->peak += from->peak;
        peer->opened += from->opened;
        peer->closed += from->closed;
        peer->closed_by_finalizer += from->closed_by_finalizer;
        peer->close_wait += from->close_wait;
    }
    return 0;
}

static int add_deaths(struct report *report, const struct report_process *process, const struct lives *lives)
{
    for (size_t i = 0; i < lives->death_count; i++) {
        const struct waited *from = &lives->deaths[i];
        struct report_death *death = report_append(&report->deaths, &report->death_count, sizeof(*death));
        if (!death)
            return -ENOMEM;
        double later = lives->source.seconds(lives->source.data, from->time);
        *death = (struct report_death){process->start_realtime_ns + (uint64_t)(later * 1e9), from->pid, from->status, process->pid, process->run};
    }
    return 0;
}

/* The work that can be told and compared: samples of the heap are no number of allocations. */
static enum axis axis_told(const struct lives *lives)
{
    bool samples = lives->axis == AXIS_ALLOCATIONS && lives->source.heap_mean > 0;
    return samples ? AXIS_TIME : lives->axis;
}

const char report_came_late[] =
    "where that was made, and what calls do that go through addresses of functions which the program had copied before";

static int add_before(struct report *report, struct report_process *process, const struct lives *lives)
{
    process->before = lives->before;
    process->before_peers = arena_alloc(&report->arena, (lives->peer_count + 1) * sizeof(*process->before_peers));
    if (!process->before_peers)
        return -ENOMEM;
    for (size_t i = 0; i < lives->peer_count; i++) {
        const struct peer *from = &lives->peers[i];
        if (from->before > 0)
            process->before_peers[process->before_peer_count++] =
                (struct report_before_peer){report_keep(report, from->text), from->server, from->before, from->before_closed};
    }
    return 0;
}

static int add_process(struct report *report, const struct report_process *from, const struct lives *lives)
{
    struct report_process *process = report_append(&report->processes, &report->process_count, sizeof(*process));
    if (!process)
        return -ENOMEM;
    *process = *from;
    process->exe = report_keep(report, from->exe);
    process->command = arena_alloc(&report->arena, (from->command_count + 1) * sizeof(*process->command));
    if (!process->command)
        return -ENOMEM;
    for (size_t i = 0; i < from->command_count; i++)
        process->command[i] = report_keep(report, from->command[i]);
    memcpy(process->books, lives->books, sizeof(process->books));
    if (add_before(report, process, lives) < 0)
        return -ENOMEM;
    report->complete &= from->complete;
    report->events += from->events;
    report->lost_events += from->lost_events;
    enum axis axis = axis_told(lives);
    if (axis < report->axis) {
        report->axis = axis;
        report->work = 0;
    }
    if (axis == report->axis)
        report->work += lives->at_tc.at[axis];
    return 0;
}

int report_add(struct report *report, const struct report_process *process, const struct lives *lives,
               const struct report_stacks *stacks, bool all)
{
    struct folds folds = {0};
    struct judged judged = {0};
    void *data = (void *)(uintptr_t)stacks;
    report->run = process->run;
    int result = add_process(report, process, lives);
    if (result == 0)
        result = add_deaths(report, process, lives);
    if (result == 0)
        result = folds_build(lives, report_blame_in, data, all, &folds);
    if (result == 0)
        result = judge(lives, &folds, stacks->stack, stacks->data, &judged);
    if (result == 0)
        result = report_add_findings(report, lives, &folds, &judged, stacks, process->pid);
    if (result == 0)
        result = report_add_suspects(report, lives, &folds, &judged, stacks, process);
    if (result == 0)
        result = report_add_sites(report, lives, &folds, &judged, stacks, process, all);
    if (result == 0)
        result = add_peers(report, lives);
    if (result == 0)
        result = kinship_add(report, process, lives, &folds, stacks);
    if (result == 0)
        result = report_add_statements(report, lives, stacks, process->pid);
    if (result == 0)
        result = report_add_pools(report, lives, stacks, process->pid);
    if (result == 0)
        result = report_add_queues(report, lives, stacks, process->pid);
    if (result == 0 && report->with_statements)
        result = report_add_rows(report, process, lives, stacks);
    if (result == 0)
        result = report_add_memory(report, lives, &folds, stacks, process);
    if (result == 0)
        result = report_add_outlook(report, lives, &folds, &judged, process->pid);
    if (result == 0 && report->places)
        result = places_add(report->places, report, process, lives, &folds, &judged, stacks);
    judged_clear(&judged);
    folds_clear(&folds);
    arena_free(&report->scratch);
    return result;
}
