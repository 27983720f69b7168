/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where resident memory went, and what the allocator keeps of it. */
#include <errno.h>

#include "stray/hooks.h"
#include "views/report_steps.h"

/* Mappings that hooked calls made; those of the Python interpreter for its small objects apart. */
static void add_mappings(const struct lives *lives, const struct report_stacks *stacks, struct parts_figures *figures)
{
    for (size_t i = 0; i < lives->site_count; i++) {
        const struct site *site = &lives->sites[i];
        const struct resident_site *resident = &site->resident;
        if (site->resource != STRAY_MMAP || (resident->first == 0 && resident->last == 0))
            continue;
        const struct stack *stack = stacks->stack(stacks->data, site->stack);
        bool arena = stack->count > 0 && stack->frames[stack->blame].pooled;
        *(arena ? &figures->arenas_first : &figures->mapped_first) += resident->first;
        *(arena ? &figures->arenas_last : &figures->mapped_last) += resident->last;
    }
}

static int64_t growth_of(const struct memory *memory)
{
    return (int64_t)(memory->last_rss - memory->first_rss);
}

/* Without two moments at which the maps were told, only what was counted is known. */
static struct parts rough_parts(const struct memory *memory)
{
    struct parts parts = {.live_heap = (int64_t)(memory->last_heap - memory->first_heap),
                          .tracer = (int64_t)(memory->last_tracer - memory->first_tracer),
                          .uncertain = parts_uncertain(memory->first_variance, memory->last_variance)};
    parts.unexplained = (int64_t)((uint64_t)growth_of(memory) - (uint64_t)parts.live_heap - (uint64_t)parts.tracer);
    return parts;
}

static bool is_told_apart(const struct lives *lives)
{
    return lives->residents.moments > 1;
}

static struct parts parts_in(const struct lives *lives, const struct report_stacks *stacks)
{
    if (!is_told_apart(lives))
        return rough_parts(&lives->memory);
    struct parts_figures figures = {
        .growth = growth_of(&lives->memory),
        .first = lives->residents.first,
        .last = lives->residents.last,
        .heap_known = lives->books[STRAY_HEAP].opened > 0,
    };
    add_mappings(lives, stacks, &figures);
    return parts_of(&figures);
}

/* The place whose blocks were freed most: the memory was got for them. NULL: there are many. */
static const struct fold *freed_most(const struct lives *lives, const struct folds *folds, int64_t retained)
{
    const struct fold *found = NULL;
    uint64_t most = (uint64_t)retained / 2;
    for (size_t i = 0; i < folds->count; i++) {
        const struct fold *fold = &folds->items[i];
        uint64_t freed = 0;
        if (fold->resource != STRAY_HEAP)
            continue;
        for (size_t k = 0; k < fold->site_count; k++) {
            const struct site *site = &lives->sites[fold->sites[k]];
            freed += site->peak_bytes > site->alive_bytes ? site->peak_bytes - site->alive_bytes : 0;
        }
        if (freed >= most) {
            most = freed;
            found = fold;
        }
    }
    return found;
}

static int say_retained(struct report *report, const struct lives *lives, const struct folds *folds,
                        const struct report_stacks *stacks, const struct parts *parts, enum severity severity, uint32_t pid)
{
    struct report_finding finding = {.resource = STRAY_HEAP, .cause = REPORT_NONE};
    const struct fold *fold = freed_most(lives, folds, parts->retained);
    int64_t growth = growth_of(&lives->memory);
    size_t index;
    int result = fold ? report_place(report, lives, fold, stacks, &finding) : 0;
    if (result < 0)
        return result;
    finding.verdict = VERDICT_RETENTION;
    finding.severity = severity;
    finding.confidence = CONFIDENCE_MEDIUM;
    finding.bytes = (uint64_t)parts->retained;
    finding.facts[finding.fact_count++] = (struct fact){"rss_growth_bytes", (double)growth, false, true};
    finding.facts[finding.fact_count++] = (struct fact){"live_heap_bytes", (double)parts->live_heap, false, true};
    return report_add_finding(report, &finding, &pid, 1, &index);
}

/* Of several processes the largest at its end is shown: sums over processes that lived at different times
 * would mean nothing. */
static void keep(struct report *report, const struct lives *lives, const struct parts *parts, double duration_s)
{
    struct report_memory *memory = &report->memory;
    if (memory->known && lives->memory.last_rss <= memory->rss_end)
        return;
    memory->known = true;
    memory->told_apart = is_told_apart(lives);
    memory->heap_known = !memory->told_apart || lives->books[STRAY_HEAP].opened > 0;
    memory->objects_known = memory->told_apart && lives->books[STRAY_PYOBJECT].opened > 0;
    memory->slack = parts_slack(&lives->residents.first, &lives->residents.last, parts->arenas);
    memory->rss_start = lives->memory.first_rss;
    memory->rss_end = lives->memory.last_rss;
    memory->parts = *parts;
    memory->span_s = duration_s;
}

int report_add_memory(struct report *report, const struct lives *lives, const struct folds *folds,
                      const struct report_stacks *stacks, const struct report_process *process)
{
    if (lives->memory.samples == 0)
        return 0;
    struct parts parts = parts_in(lives, stacks);
    keep(report, lives, &parts, process->duration_s);
    if (!is_told_apart(lives))
        return 0;
    enum severity severity = parts_retained(&parts, growth_of(&lives->memory), &lives->residents);
    return severity == SEVERITY_NONE ? 0 : say_retained(report, lives, folds, stacks, &parts, severity, process->pid);
}
