/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/json.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json_memory.h"
#include "read/pairs.h"
#include "read/words.h"

/* Six significant decimals are more than any of these figures can bear. */
static json_t *real(double number)
{
    if (!isfinite(number))
        return json_null();
    double scale = fabs(number) >= 1e9 ? 1 : 1e6;
    double rounded = round(number * scale) / scale;
    return json_real(rounded == 0 ? 0.0 : rounded);
}

static json_t *frame(const struct report_frame *from)
{
    json_t *object = json_object();
    json_object_set_new(object, "function", json_text(from ? from->function : NULL));
    json_object_set_new(object, "file", json_text(from ? from->file : NULL));
    json_object_set_new(object, "line", from && from->line ? json_whole(from->line) : json_null());
    json_object_set_new(object, "module", json_text(from ? from->module : NULL));
    json_object_set_new(object, "language", json_string(from && from->python ? "python" : "native"));
    if (from && from->offset) {
        char offset[32];
        snprintf(offset, sizeof(offset), "0x%" PRIx64, from->offset);
        json_object_set_new(object, "offset", json_string(offset));
    }
    return object;
}

static json_t *stack(const struct report_stack *from)
{
    json_t *array = json_array();
    for (size_t i = 0; i < from->count; i++)
        json_array_append_new(array, frame(&from->frames[i]));
    return array;
}

static json_t *pids(const uint32_t *from, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_whole(from[i]));
    return array;
}

static json_t *moment(uint64_t realtime_ns)
{
    if (!realtime_ns)
        return json_null();
    time_t seconds = (time_t)(realtime_ns / 1000000000u);
    struct tm parts;
    char date[40], whole_text[64];
    if (!gmtime_r(&seconds, &parts) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts))
        return json_null();
    snprintf(whole_text, sizeof(whole_text), "%s.%06uZ", date, (unsigned)(realtime_ns / 1000 % 1000000));
    return json_string(whole_text);
}

static json_t *trace(const struct report *report)
{
    static const char *const axes[] = {"requests", "statements", "allocations", "time"};
    json_t *object = json_object();
    json_object_set_new(object, "path", json_text(report->path));
    json_object_set_new(object, "complete", json_boolean(report->complete));
    json_object_set_new(object, "events", json_whole(report->events));
    json_object_set_new(object, "lost_events", json_whole(report->lost_events));
    json_object_set_new(object, "duration_s", real(report->duration_s));
    json_object_set_new(object, "work_axis", json_string(axes[report->axis]));
    json_object_set_new(object, "too_short", json_boolean(report_too_short(report)));
    json_object_set_new(object, "work", json_whole(report->axis == AXIS_TIME ? 0 : report->work));
    json_t *notes = json_array();
    for (size_t i = 0; i < report->note_count; i++)
        json_array_append_new(notes, json_text(report->notes[i]));
    json_object_set_new(object, "notes", notes);
    if (report->heap_sampled)
        json_object_set_new(object, "heap_sampled_bytes", json_whole(report->heap_sampled));
    if (report->run_count > 1)
        json_object_set_new(object, "runs", json_whole(report->run_count));
    return object;
}

static json_t *interval(const struct interval *from)
{
    json_t *object = json_object();
    json_object_set_new(object, "estimate", real(from->estimate));
    json_object_set_new(object, "low", real(from->low));
    json_object_set_new(object, "high", real(from->high));
    return object;
}

static void set_interval(json_t *intervals, const char *name, double estimate, double variance)
{
    struct interval of = stats_weighted(estimate, variance);
    json_object_set_new(intervals, name, interval(&of));
}

/* Adds to `object` that its figures are estimates, and the intervals of a number and of bytes, to which others may be added. */
static json_t *estimated(json_t *object, const char *number, const char *bytes, const struct tally *tally, uint64_t size)
{
    json_t *intervals = json_object();
    set_interval(intervals, number, tally->count, tally->variance);
    set_interval(intervals, bytes, (double)size, tally->bytes_variance);
    json_object_set_new(object, "estimated", json_true());
    json_object_set_new(object, "intervals", intervals);
    return intervals;
}

/* None of the samples is open: but of those that were acquired some that were missed may be. The variance of bytes is that of the
 * number, times the square of the size. */
static void set_unmet(json_t *intervals, const struct tally *born)
{
    struct interval count = stats_unmet(1 + born->variance / born->count), bytes = count;
    bytes.high *= born->variance > 0 ? sqrt(born->bytes_variance / born->variance) : 0;
    json_object_set_new(intervals, "open", interval(&count));
    json_object_set_new(intervals, "bytes_open", interval(&bytes));
}

/* Of what was acquired and of what of it is open. */
static void estimated_both(json_t *object, const struct tally *born, const struct tally *living, uint64_t open, uint64_t bytes_open)
{
    json_t *intervals = estimated(object, "open", "bytes_open", living, bytes_open);
    set_interval(intervals, "opened", born->count, born->variance);
    if (open == 0 && born->count > 0)
        set_unmet(intervals, born);
}

static json_t *opened_before(uint64_t open, uint64_t closed)
{
    json_t *object = json_object();
    json_object_set_new(object, "open", json_whole(open));
    json_object_set_new(object, "closed", json_whole(closed));
    return object;
}

/* Of the books' inherited ones, those that are told as open before. */
static uint64_t descriptor_before(const struct report_process *process, unsigned resource)
{
    return resource == STRAY_PGCONN ? 0 : process->before.open[resource];
}

/* What was open when a running process was attached to, and what became of it. */
static json_t *before_attach(const struct report_process *process)
{
    const struct before *from = &process->before;
    json_t *object = json_object(), *resources = json_object(), *connections = json_array();
    for (unsigned i = STRAY_RESOURCE_NONE + 1; i < STRAY_RESOURCE_END; i++)
        if (from->open[i] > 0 || i == STRAY_CONNECTION || i == STRAY_SOCKET || i == STRAY_FILE || i == STRAY_PGCONN)
            json_object_set_new(resources, resource_label(i), opened_before(from->open[i], from->closed[i]));
    for (size_t i = 0; i < process->before_peer_count; i++) {
        const struct report_before_peer *peer = &process->before_peers[i];
        json_t *row = opened_before(peer->open, peer->closed);
        json_object_set_new(row, "peer", json_text(peer->text));
        json_object_set_new(row, "kind", json_string(peer->server ? "server" : "client"));
        json_array_append_new(connections, row);
    }
    json_object_set_new(object, "resources", resources);
    json_object_set_new(object, "connections", connections);
    json_object_set_new(object, "threads", json_whole(from->threads));
    json_object_set_new(object, "heap_bytes", from->heap == UINT64_MAX ? json_null() : json_whole(from->heap));
    json_object_set_new(object, "not_known", json_string(report_came_late));
    return object;
}

static json_t *book(const struct book *from, uint64_t before)
{
    json_t *object = json_object();
    json_object_set_new(object, "opened", json_whole(from->opened));
    json_object_set_new(object, "closed", json_whole(from->closed));
    json_object_set_new(object, "open", json_whole(from->open));
    json_object_set_new(object, "peak", json_whole(from->peak));
    json_object_set_new(object, "inherited", json_whole(from->inherited - before));
    json_object_set_new(object, "unknown_closed", json_whole(from->unknown));
    json_object_set_new(object, "bytes_open", json_whole(from->bytes_open));
    json_object_set_new(object, "peak_bytes", json_whole(from->peak_bytes));
    if (from->estimated)
        estimated_both(object, &from->born, &from->living, from->open, from->bytes_open);
    return object;
}

static json_t *damage(const struct damage *from)
{
    json_t *object = json_object();
    json_object_set_new(object, "frames_damaged", json_whole(from->frames_damaged));
    json_object_set_new(object, "frames_missing", json_whole(from->frames_missing));
    json_object_set_new(object, "bytes_skipped", json_whole(from->bytes_skipped));
    json_object_set_new(object, "events_recovered", json_whole(from->events_recovered));
    json_object_set_new(object, "truncated", json_boolean(from->truncated));
    if (from->offset > 0)
        json_object_set_new(object, "offset", json_whole(from->offset));
    return object;
}

static json_t *process(const struct report_process *from)
{
    json_t *object = json_object(), *command = json_array(), *resources = json_object();
    json_object_set_new(object, "pid", json_whole(from->pid));
    json_object_set_new(object, "parent_pid", json_whole(from->parent_pid));
    json_object_set_new(object, "exe", json_text(from->exe));
    for (size_t i = 0; i < from->command_count; i++)
        json_array_append_new(command, json_text(from->command[i]));
    json_object_set_new(object, "command", command);
    json_object_set_new(object, "start", moment(from->start_realtime_ns));
    json_object_set_new(object, "duration_s", real(from->duration_s));
    json_object_set_new(object, "end", json_string(from->end));
    if (from->exit_known)
        json_object_set_new(object, "exit_status", json_whole(from->exit_status));
    json_object_set_new(object, "events", json_whole(from->events));
    json_object_set_new(object, "lost_events", json_whole(from->lost_events));
    json_object_set_new(object, "complete", json_boolean(from->complete));
    json_object_set_new(object, "damage", damage(&from->damage));
    for (unsigned i = STRAY_RESOURCE_NONE + 1; i < STRAY_USER_END; i++)
        if (i < STRAY_RESOURCE_END || pairs_resource_is_found(i))
            json_object_set_new(resources, resource_label(i), book(&from->books[i], descriptor_before(from, i)));
    json_object_set_new(object, "resources", resources);
    if (from->before.attached)
        json_object_set_new(object, "before_attach", before_attach(from));
    return object;
}

static json_t *evidence(const struct report_finding *from)
{
    json_t *object = json_object();
    for (size_t i = 0; i < from->fact_count; i++) {
        const struct fact *fact = &from->facts[i];
        json_object_set_new(object, fact->name,
                            fact->count ? json_whole((uint64_t)fmin(fmax(fact->value, 0), 0x1p63)) : real(fact->value));
    }
    return object;
}

static json_t *last_used(const struct report_finding *from)
{
    json_t *object = json_object();
    json_object_set_new(object, "site", frame(&from->last_user));
    json_object_set_new(object, "count", json_whole(from->last_users));
    return object;
}

static json_t *finding(const struct report *report, const struct report_finding *from)
{
    json_t *object = json_object();
    json_object_set_new(object, "id", json_string(from->id));
    json_object_set_new(object, "verdict", json_string(verdict_name(from->verdict)));
    json_object_set_new(object, "resource", json_string(resource_label(from->resource)));
    json_object_set_new(object, "severity", json_string(severity_name(from->severity)));
    json_object_set_new(object, "message", json_text(from->message));
    json_object_set_new(object, "site", frame(from->site));
    json_object_set_new(object, "stack", stack(&from->stack));
    json_object_set_new(object, "stack_truncated", json_boolean(from->stack.truncated));
    json_object_set_new(object, "count", json_whole(from->count));
    json_object_set_new(object, "bytes", json_whole(from->bytes));
    if (from->estimated)
        estimated(object, "count", "bytes", &from->tally, from->bytes);
    if (from->peer)
        json_object_set_new(object, "peer", json_text(from->peer));
    if (from->statement)
        json_object_set_new(object, "statement", json_text(from->statement));
    if (from->call)
        json_object_set_new(object, "call", json_text(from->call));
    if (from->last_users > 0)
        json_object_set_new(object, "last_used", last_used(from));
    if (from->rated)
        json_object_set_new(object, "rate_per_hour", interval(&from->rate_per_hour));
    json_object_set_new(object, "first_s", real(from->first_s));
    json_object_set_new(object, "last_s", real(from->last_s));
    json_object_set_new(object, "confidence", json_string(confidence_name(from->confidence)));
    json_object_set_new(object, "evidence", evidence(from));
    if (from->cause != REPORT_NONE)
        json_object_set_new(object, "caused_by", json_string(report->findings[from->cause].id));
    json_object_set_new(object, "pids", pids(from->pids, from->pid_count));
    if (report->run_count > 1)
        json_object_set_new(object, "runs", json_whole(from->run_count));
    return object;
}

static json_t *site(const struct report *report, const struct report_site *from)
{
    json_t *object = json_object();
    json_object_set_new(object, "resource", json_string(resource_label(from->resource)));
    json_object_set_new(object, "site", frame(from->known ? &from->site : NULL));
    json_object_set_new(object, "opened", json_whole(from->opened));
    json_object_set_new(object, "closed", json_whole(from->closed));
    json_object_set_new(object, "open", json_whole(from->open));
    json_object_set_new(object, "bytes_open", json_whole(from->bytes_open));
    if (from->estimated)
        estimated_both(object, &from->born, &from->living, from->open, from->bytes_open);
    json_object_set_new(object, "verdict", json_string(verdict_name(from->verdict)));
    json_object_set_new(object, "first_s", real(from->first_s));
    json_object_set_new(object, "last_s", real(from->last_s));
    if (from->peer)
        json_object_set_new(object, "peer", json_text(from->peer));
    json_t *handles = json_array();
    for (size_t i = 0; i < from->handle_count; i++)
        json_array_append_new(handles, json_whole(from->handles[i]));
    json_object_set_new(object, "handles", handles);
    json_object_set_new(object, "pids", pids(from->pids, from->pid_count));
    if (report->run_count > 1)
        json_object_set_new(object, "runs", json_whole(from->run_count));
    return object;
}

static json_t *peer(const struct report_peer *from)
{
    json_t *object = json_object();
    json_object_set_new(object, "peer", json_text(from->text));
    json_object_set_new(object, "kind", json_string(from->server ? "server" : "client"));
    json_object_set_new(object, "open", json_whole(from->open));
    json_object_set_new(object, "peak", json_whole(from->peak));
    if (from->limit)
        json_object_set_new(object, "limit", json_whole(from->limit));
    json_object_set_new(object, "opened", json_whole(from->opened));
    json_object_set_new(object, "closed", json_whole(from->closed));
    json_object_set_new(object, "closed_by_finalizer", json_whole(from->closed_by_finalizer));
    json_object_set_new(object, "close_wait", json_whole(from->close_wait));
    return object;
}

/* What is not measured is null, never 0: nobody shall read a guess as a figure. */
static json_t *part(bool known, int64_t bytes)
{
    return known ? json_integer(bytes) : json_null();
}

static void part_interval(json_t *intervals, const char *name, int64_t bytes, double uncertain)
{
    struct interval of = {(double)bytes, (double)bytes - uncertain, (double)bytes + uncertain};
    if (uncertain > 0)
        json_object_set_new(intervals, name, interval(&of));
}

static json_t *memory(const struct report_memory *from)
{
    json_t *object = json_object(), *parts = json_object();
    const struct parts *of = &from->parts;
    bool apart = from->known && from->told_apart, heap = from->known && from->heap_known;
    json_object_set_new(object, "rss_start", from->known ? json_whole(from->rss_start) : json_null());
    json_object_set_new(object, "rss_end", from->known ? json_whole(from->rss_end) : json_null());
    json_object_set_new(parts, "live_heap", part(heap, of->live_heap));
    json_object_set_new(parts, "allocator_overhead", part(heap && apart, of->overhead));
    json_object_set_new(parts, "allocator_retained", part(heap && apart, of->retained));
    bool objects = from->known && from->objects_known;
    json_object_set_new(parts, "python_arenas", part(apart, of->arenas - (objects ? from->slack.bytes : 0)));
    json_object_set_new(parts, "python_slack", part(objects, from->slack.bytes));
    json_object_set_new(parts, "mmap", part(apart, of->mapped));
    json_object_set_new(parts, "stacks", part(apart, of->stacks));
    json_object_set_new(parts, "files", part(apart, of->files));
    json_object_set_new(parts, "tracer", part(from->known, of->tracer));
    json_object_set_new(parts, "unexplained", part(from->known, of->unexplained));
    json_object_set_new(object, "parts", parts);
    json_t *intervals = json_object();
    if (heap)
        part_interval(intervals, "live_heap", of->live_heap, of->uncertain);
    if (objects)
        part_interval(intervals, "python_slack", from->slack.bytes, from->slack.uncertain);
    if (json_object_size(intervals) > 0)
        json_object_set_new(object, "estimated", json_true());
    if (json_object_size(intervals) > 0)
        json_object_set(object, "intervals", intervals);
    json_decref(intervals);
    return object;
}

static json_t *forecast(const struct report_forecast *from)
{
    static const char *const kinds[] = {"descriptors", "memory", "connections"};
    json_t *object = json_object();
    json_object_set_new(object, "resource", json_string(kinds[from->kind]));
    json_object_set_new(object, "message", json_text(from->message));
    if (from->peer)
        json_object_set_new(object, "peer", json_text(from->peer));
    if (from->pid)
        json_object_set_new(object, "pid", json_whole(from->pid));
    json_object_set_new(object, "limit", json_whole(from->limit));
    json_object_set_new(object, "now", json_whole((uint64_t)from->now));
    json_object_set_new(object, "rate_per_hour", interval(&from->per_hour));
    json_object_set_new(object, "seconds", interval(&from->seconds));
    return object;
}

static json_t *whole_report(const struct report *report, bool with_sites)
{
    json_t *object = json_object(), *processes = json_array(), *findings = json_array(),
           *peers = json_array(), *forecasts = json_array();
    json_object_set_new(object, "schema", json_string("stray-report/1"));
    json_object_set_new(object, "trace", trace(report));
    for (size_t i = 0; i < report->process_count; i++)
        json_array_append_new(processes, process(&report->processes[i]));
    json_object_set_new(object, "processes", processes);
    for (size_t i = 0; i < report->finding_count; i++)
        json_array_append_new(findings, finding(report, &report->findings[i]));
    json_object_set_new(object, "findings", findings);
    if (with_sites) {
        json_t *sites = json_array();
        for (size_t i = 0; i < report->site_count; i++)
            json_array_append_new(sites, site(report, &report->sites[i]));
        json_object_set_new(object, "sites", sites);
    }
    for (size_t i = 0; i < report->peer_count; i++)
        json_array_append_new(peers, peer(&report->peers[i]));
    json_object_set_new(object, "connections", peers);
    json_object_set_new(object, "memory", memory(&report->memory));
    for (size_t i = 0; i < report->forecast_count; i++)
        json_array_append_new(forecasts, forecast(&report->forecasts[i]));
    json_object_set_new(object, "forecasts", forecasts);
    return object;
}

json_t *report_json_real(double number)
{
    return real(number);
}

json_t *report_json_moment(uint64_t realtime_ns)
{
    return moment(realtime_ns);
}

json_t *report_json_frame(const struct report_frame *from)
{
    return frame(from);
}

json_t *report_json_whole(const struct report *report, bool sites)
{
    return whole_report(report, sites);
}

json_t *report_json_trace(const struct report *report)
{
    return trace(report);
}

json_t *report_json_finding(const struct report *report, const struct report_finding *from)
{
    return finding(report, from);
}

int report_json_write(json_t *value, FILE *out)
{
    char *text = value ? json_dumps(value, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(value);
    int result = json_memory_failed() || !text ? -ENOMEM : 0;
    if (result == 0 && (fputs(text, out) == EOF || fputc('\n', out) == EOF))
        result = -EIO;
    free(text);
    return result;
}

int report_write_json(const struct report *report, bool sites, FILE *out)
{
    json_memory_watch();
    return report_json_write(whole_report(report, sites), out);
}
