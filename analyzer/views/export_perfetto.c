/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The Trace Event Format in JSON, which Perfetto and Chrome's tracing read: each lifetime a slice of its own
 * track, counts and memory as counters. Times are microseconds from the start of the first process.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json_memory.h"
#include "read/words.h"
#include "views/export.h"
#include "views/json.h"

struct events {
    const struct ledger *ledger;
    FILE *out;
    size_t count;
    uint64_t base_ns;
    bool failed;
};

/* Takes the event over. */
static void put(struct events *events, json_t *event)
{
    char *text = event ? json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    events->failed |= !text;
    json_decref(event);
    if (!text)
        return;
    fprintf(events->out, "%s\n%s", events->count++ ? "," : "", text);
    free(text);
}

static json_t *time_of(const struct events *events, uint32_t process, double seconds)
{
    uint64_t start = events->ledger->processes[process].start_realtime_ns;
    double later = start > events->base_ns ? (double)(start - events->base_ns) / 1e3 : 0;
    return json_real(round((later + seconds * 1e6) * 1e3) / 1e3);
}

static json_int_t pid_of(const struct events *events, uint32_t process)
{
    return events->ledger->processes[process].pid;
}

static void put_names(struct events *events)
{
    for (size_t i = 0; i < events->ledger->process_count; i++) {
        const struct ledger_process *process = &events->ledger->processes[i];
        const char *slash = process->exe ? strrchr(process->exe, '/') : NULL;
        const char *name = slash ? slash + 1 : process->exe ? process->exe : "?";
        put(events, json_pack("{s:s, s:s, s:I, s:{s:o}}", "ph", "M", "name", "process_name", "pid",
                              (json_int_t)process->pid, "args", "name", json_safe(name)));
    }
}

static json_t *arguments(const struct ledger *ledger, const struct ledger_life *life)
{
    const struct report_frame *site = ledger_blame(ledger, ledger->places[life->place].stack);
    char place[1024] = "";
    if (site)
        export_frame_name(site, place, sizeof(place));
    json_t *object = json_pack("{s:s, s:o, s:I, s:o, s:s}", "resource", resource_label(life->resource),
                               "place", json_safe(place), "thread", (json_int_t)life->thread, "uses",
                               json_whole(life->uses), "closed", ledger_closed_word(life->closed));
    if (life->peer)
        json_object_set_new(object, "peer", json_safe(life->peer));
    if (life->statements_known)
        json_object_set_new(object, "statements", json_integer(life->statements));
    if (ledger_state_word(life->state))
        json_object_set_new(object, "tcp_state", json_string(ledger_state_word(life->state)));
    return object;
}

/* Asynchronous slices: they overlap, and belong to no thread. */
static void put_life(struct events *events, size_t index)
{
    const struct ledger_life *life = &events->ledger->lives[index];
    const struct report_frame *site = ledger_blame(events->ledger, events->ledger->places[life->place].stack);
    const char *name = site && site->function ? site->function : life->peer ? life->peer : "?";
    const char *label = resource_label(life->resource);
    json_int_t pid = pid_of(events, life->process);
    put(events, json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:o, s:o}", "ph", "b", "cat", label, "name",
                          json_safe(name), "id", json_sprintf("%zu", index), "pid", pid, "tid",
                          (json_int_t)life->thread, "ts", time_of(events, life->process, life->opened_s),
                          "args", arguments(events->ledger, life)));
    put(events, json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:o}", "ph", "e", "cat", label, "name",
                          json_safe(name), "id", json_sprintf("%zu", index), "pid", pid, "tid",
                          (json_int_t)life->thread, "ts", time_of(events, life->process, life->ended_s)));
}

static void put_counter(struct events *events, const struct ledger_point *point, const char *name,
                        const char *unit, uint64_t value)
{
    put(events, json_pack("{s:s, s:s, s:I, s:o, s:{s:o}}", "ph", "C", "name", name, "pid",
                          pid_of(events, point->process), "ts",
                          time_of(events, point->process, point->time_s), "args", unit, json_whole(value)));
}

/* Counters are written where they change. */
static void put_point(struct events *events, const struct export_options *options,
                      const struct ledger_point *point, const struct ledger_point *before)
{
    static const struct ledger_point none;
    bool first = before->process != point->process || before == point;
    const struct ledger_point *last = first ? &none : before;
    char name[64];
    if (point->rss != last->rss)
        put_counter(events, point, "resident memory", "bytes", point->rss);
    if (point->tracer != last->tracer)
        put_counter(events, point, "tracer", "bytes", point->tracer);
    if (point->heap_bytes != last->heap_bytes && export_wants(options, STRAY_HEAP))
        put_counter(events, point, events->ledger->report->heap_sampled ? "heap (estimated)" : "heap", "bytes",
                    point->heap_bytes);
    for (unsigned i = STRAY_RESOURCE_NONE + 1; i < STRAY_USER_END; i++) {
        if (point->open[i] == last->open[i] || !export_wants(options, i))
            continue;
        snprintf(name, sizeof(name), "open: %s", resource_label(i));
        put_counter(events, point, name, "open", point->open[i]);
    }
}

static uint64_t earliest(const struct ledger *ledger)
{
    uint64_t base = UINT64_MAX;
    for (size_t i = 0; i < ledger->process_count; i++)
        if (ledger->processes[i].start_realtime_ns && ledger->processes[i].start_realtime_ns < base)
            base = ledger->processes[i].start_realtime_ns;
    return base == UINT64_MAX ? 0 : base;
}

int export_perfetto(const struct ledger *ledger, const struct export_options *options, FILE *out)
{
    json_memory_watch();
    struct events events = {.ledger = ledger, .out = out, .base_ns = earliest(ledger)};
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", out);
    put_names(&events);
    for (size_t i = 0; i < ledger->life_count; i++)
        if (export_wants(options, ledger->lives[i].resource))
            put_life(&events, i);
    for (size_t i = 0; i < ledger->point_count; i++)
        put_point(&events, options, &ledger->points[i], &ledger->points[i ? i - 1 : 0]);
    fputs("\n]}\n", out);
    return events.failed || json_memory_failed() ? -ENOMEM : ferror(out) ? -EIO : 0;
}
