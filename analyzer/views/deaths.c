/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How processes ended that could not say it: their parents waited for them, and were told, or they went on as other programs. */
#include <string.h>
#include <sys/wait.h>

#include "views/report_steps.h"

#define SHELL_BASE   128        /* what shells add to the number of a signal to make a status of it */
#define CLOCK_ERROR  1000000000 /* two processes may place one moment so far apart, ns */

void report_killed_by(struct report_process *process, unsigned signal)
{
    process->end = "signal";
    process->end_seen = process->exit_known = true;
    process->exit_status = SHELL_BASE + signal;
}

static const struct report_process *find_trace(const struct report *report, const uint8_t id[16])
{
    static const uint8_t none[16];
    if (memcmp(id, none, sizeof(none)) == 0)
        return NULL;
    for (size_t i = 0; i < report->process_count; i++) {
        if (memcmp(report->processes[i].trace_id, id, sizeof(none)) == 0)
            return &report->processes[i];
    }
    return NULL;
}

/* The parent is that of the first program that the process was; each later one has the one before as its parent. */
static uint32_t parent_of(const struct report *report, const struct report_process *process)
{
    const struct report_process *before = process;
    for (size_t steps = 0; before && before->pid == process->pid && steps <= report->process_count; steps++) {
        process = before;
        before = find_trace(report, process->parent_id);
    }
    return process->parent_pid;
}

/* The first one after its start: a later one is of another process with this pid. */
static const struct report_death *death_of(const struct report *report, const struct report_process *process)
{
    uint32_t parent = parent_of(report, process);
    const struct report_death *first = NULL;
    for (size_t i = 0; i < report->death_count; i++) {
        const struct report_death *death = &report->deaths[i];
        if (death->pid == process->pid && death->by == parent && death->run == process->run &&
            death->realtime_ns + CLOCK_ERROR >= process->start_realtime_ns &&
            (!first || death->realtime_ns < first->realtime_ns))
            first = death;
    }
    return first;
}

static void settle(const struct report *report, struct report_process *process)
{
    const struct report_death *death = death_of(report, process);
    int status = death ? (int)death->status : 0;
    if (death && WIFSIGNALED(status)) {
        report_killed_by(process, (unsigned)WTERMSIG(status));
    } else if (death && WIFEXITED(status)) {
        process->end = "exit";
        process->end_seen = process->exit_known = true;
        process->exit_status = (uint32_t)WEXITSTATUS(status);
    }
}

/* Whether the process went on as another program, by an exec that no hook saw (a system call by its number). */
static bool went_on(const struct report *report, const struct report_process *process)
{
    for (size_t i = 0; process->starttime_ticks != 0 && i < report->process_count; i++) {
        const struct report_process *other = &report->processes[i];
        if (other->began && other->pid == process->pid && other->run == process->run &&
            other->starttime_ticks == process->starttime_ticks && other->start_time > process->start_time)
            return true;
    }
    return false;
}

void report_settle_ends(struct report *report)
{
    for (size_t i = 0; i < report->process_count; i++) {
        struct report_process *process = &report->processes[i];
        bool unseen = !process->end_seen || strcmp(process->end, "running") == 0;
        if (unseen && went_on(report, process))
            process->end = "exec";
        else if (!process->end_seen)
            settle(report, process);
    }
}
