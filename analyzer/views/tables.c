/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "views/tables.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "read/words.h"
#include "safe.h"

size_t table_width(const struct table *table)
{
    size_t width = 0;
    while (table->columns[width].name)
        width++;
    return width;
}

/* ---- cells ---- */

static struct cell whole(uint64_t number)
{
    return (struct cell){.type = CELL_WHOLE, .whole = (int64_t)number};
}

static struct cell truth(bool value)
{
    return (struct cell){.type = CELL_TRUTH, .whole = value};
}

static struct cell real(double number)
{
    return (struct cell){.type = isfinite(number) ? CELL_REAL : CELL_NULL, .real = number};
}

static struct cell text(const char *string)
{
    return (struct cell){.type = string ? CELL_TEXT : CELL_NULL, .text = string};
}

static struct cell id(uint32_t number)
{
    return number == LEDGER_NONE ? (struct cell){0} : whole(number);
}

static struct cell line_of(uint32_t line)
{
    return line ? whole(line) : (struct cell){0};
}

static const char *language_of(bool python)
{
    return python ? "python" : "native";
}

#define CODE_SIZE 17

static const char *code_of(const struct report_frame *frame, char code[CODE_SIZE])
{
    if (!frame || frame->code == 0)
        return NULL;
    snprintf(code, CODE_SIZE, "%016" PRIx64, frame->code);
    return code;
}

static const char *kind_of(bool server)
{
    return server ? "server" : "client";
}

/* ---- rows ---- */

static int trace_rows(const struct ledger *ledger, const struct export_options *options,
                      const struct table_sink *sink)
{
    static const char *const axes[] = {"requests", "statements", "allocations", "time"};
    const struct report *report = ledger->report;
    const struct cell cells[] = {text(report->path ? report->path : ""),
                                 truth(report->complete),
                                 whole(report->events),
                                 whole(report->lost_events),
                                 real(report->duration_s),
                                 text(axes[report->axis]),
                                 whole(report->axis == AXIS_TIME ? 0 : report->work),
                                 report->heap_sampled ? whole(report->heap_sampled) : (struct cell){0}};
    return sink->row(sink->data, cells);
}

static void moment(uint64_t realtime_ns, char *to, size_t size)
{
    time_t seconds = (time_t)(realtime_ns / 1000000000u);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t used = strftime(to, size, "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(to + used, size - used, ".%06u", (unsigned)(realtime_ns / 1000 % 1000000));
}

static int process_rows(const struct ledger *ledger, const struct export_options *options,
                        const struct table_sink *sink)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < ledger->process_count; i++) {
        const struct ledger_process *process = &ledger->processes[i];
        char start[64];
        moment(process->start_realtime_ns, start, sizeof(start));
        const struct cell cells[] = {whole(i),
                                     whole(process->pid),
                                     whole(process->parent_pid),
                                     text(process->exe),
                                     text(process->start_realtime_ns ? start : NULL),
                                     real(process->duration_s),
                                     real(process->end_s),
                                     text(process->end),
                                     whole(process->events),
                                     whole(process->lost_events)};
        result = sink->row(sink->data, cells);
    }
    return result;
}

static int frame_rows(const struct ledger *ledger, const struct export_options *options,
                      const struct table_sink *sink)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < ledger->frame_count; i++) {
        const struct report_frame *frame = &ledger->frames[i];
        char code[CODE_SIZE];
        const struct cell cells[] = {whole(i),
                                     text(frame->function),
                                     text(frame->file),
                                     line_of(frame->line),
                                     text(frame->module),
                                     whole(frame->offset),
                                     text(language_of(frame->python)),
                                     truth(frame->user),
                                     truth(frame->inlined),
                                     text(code_of(frame, code))};
        result = sink->row(sink->data, cells);
    }
    return result;
}

static int stack_rows(const struct ledger *ledger, const struct export_options *options,
                      const struct table_sink *sink)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < ledger->stack_count; i++) {
        const struct ledger_stack *stack = &ledger->stacks[i];
        const struct cell cells[] = {whole(i), whole(stack->count),
                                     id(stack->count ? stack->frames[stack->blame] : LEDGER_NONE),
                                     truth(stack->truncated)};
        result = sink->row(sink->data, cells);
    }
    return result;
}

static int stack_frame_rows(const struct ledger *ledger, const struct export_options *options,
                            const struct table_sink *sink)
{
    int result = 0;
    for (size_t i = 0; i < ledger->stack_count; i++) {
        const struct ledger_stack *stack = &ledger->stacks[i];
        for (uint32_t depth = 0; result == 0 && depth < stack->count; depth++) {
            const struct cell cells[] = {whole(i), whole(depth), whole(stack->frames[depth])};
            result = sink->row(sink->data, cells);
        }
    }
    return result;
}

static int place_rows(const struct ledger *ledger, const struct export_options *options,
                      const struct table_sink *sink)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < ledger->place_count; i++) {
        const struct ledger_place *place = &ledger->places[i];
        if (!export_wants(options, place->resource))
            continue;
        const struct cell cells[] = {whole(i),
                                     whole(place->process),
                                     text(resource_label(place->resource)),
                                     id(place->stack),
                                     text(place->peer),
                                     text(kind_of(place->server)),
                                     whole(place->opened),
                                     whole(place->closed),
                                     whole(place->open),
                                     whole(place->bytes_open),
                                     whole(place->peak),
                                     whole(place->opened_by_end),
                                     whole(place->alive),
                                     whole(place->alive_bytes),
                                     real(place->first_s),
                                     real(place->last_s),
                                     truth(place->estimated)};
        result = sink->row(sink->data, cells);
    }
    return result;
}

static int life_rows(const struct ledger *ledger, const struct export_options *options,
                     const struct table_sink *sink)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < ledger->life_count; i++) {
        const struct ledger_life *life = &ledger->lives[i];
        if (!export_wants(options, life->resource))
            continue;
        const struct cell cells[] = {whole(i),
                                     whole(life->process),
                                     whole(life->place),
                                     text(resource_label(life->resource)),
                                     text(life->peer),
                                     text(kind_of(life->server)),
                                     whole(life->handle),
                                     whole(life->thread),
                                     real(life->opened_s),
                                     life->closed == LEDGER_OPEN ? (struct cell){0} : real(life->ended_s),
                                     real(life->used_s),
                                     real(life->busy_s),
                                     real(life->connect_s),
                                     whole(life->uses),
                                     life->statements_known ? whole(life->statements) : (struct cell){0},
                                     text(ledger_state_word(life->state)),
                                     text(ledger_closed_word(life->closed)),
                                     id(life->closing_stack),
                                     id(life->partner)};
        result = sink->row(sink->data, cells);
    }
    return result;
}

static const struct report_frame unknown;

static int site_rows(const struct ledger *ledger, const struct export_options *options,
                     const struct table_sink *sink)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < ledger->report->site_count; i++) {
        const struct report_site *site = &ledger->report->sites[i];
        if (!export_wants(options, site->resource))
            continue;
        const struct report_frame *frame = site->known ? &site->site : &unknown;
        char code[CODE_SIZE];
        const struct cell cells[] = {whole(i),
                                     text(resource_label(site->resource)),
                                     text(frame->function),
                                     text(frame->file),
                                     line_of(site->site.line),
                                     text(frame->module),
                                     text(language_of(site->site.python)),
                                     text(site->peer),
                                     whole(site->opened),
                                     whole(site->closed),
                                     whole(site->open),
                                     whole(site->bytes_open),
                                     text(verdict_name(site->verdict)),
                                     real(site->first_s),
                                     real(site->last_s),
                                     truth(site->estimated),
                                     text(code_of(site->known ? &site->site : NULL, code))};
        result = sink->row(sink->data, cells);
    }
    return result;
}

static int finding_row(const struct report *report, const struct report_finding *finding,
                       const struct table_sink *sink)
{
    const struct report_frame *frame = finding->site ? finding->site : &unknown;
    const struct interval *rate = &finding->rate_per_hour;
    const struct cell none = {0};
    char code[CODE_SIZE];
    const struct cell cells[] = {
        text(finding->id),
        text(verdict_name(finding->verdict)),
        text(resource_label(finding->resource)),
        text(severity_name(finding->severity)),
        text(confidence_name(finding->confidence)),
        text(finding->message),
        text(frame->function),
        text(frame->file),
        line_of(finding->site ? finding->site->line : 0),
        text(finding->peer),
        whole(finding->count),
        whole(finding->bytes),
        finding->rated ? real(rate->estimate) : none,
        finding->rated ? real(rate->low) : none,
        finding->rated ? real(rate->high) : none,
        real(finding->first_s),
        real(finding->last_s),
        text(finding->cause == REPORT_NONE ? NULL : report->findings[finding->cause].id),
        truth(finding->estimated),
        text(code_of(finding->site, code))};
    return sink->row(sink->data, cells);
}

static int finding_rows(const struct ledger *ledger, const struct export_options *options,
                        const struct table_sink *sink)
{
    const struct report *report = ledger->report;
    int result = 0;
    for (size_t i = 0; result == 0 && i < report->finding_count; i++)
        if (export_wants(options, report->findings[i].resource))
            result = finding_row(report, &report->findings[i], sink);
    return result;
}

static int counter_row(const struct ledger_point *point, const char *name, uint64_t value,
                       const struct table_sink *sink)
{
    const struct cell cells[] = {whole(point->process), real(point->time_s), text(name), whole(value)};
    return sink->row(sink->data, cells);
}

/* A counter begins with its first value other than 0, and has a row wherever there is a point. */
#define COUNTERS (3 + STRAY_USER_END)

static int point_rows(const struct ledger_point *point, const struct export_options *options, bool *seen,
                      const struct table_sink *sink)
{
    const uint64_t values[] = {point->rss, point->tracer, point->heap_bytes};
    static const char *const names[] = {"rss_bytes", "tracer_bytes", "heap_bytes"};
    int result = 0;
    for (unsigned i = 0; result == 0 && i < 3; i++) {
        seen[i] |= values[i] != 0;
        if (seen[i])
            result = counter_row(point, names[i], values[i], sink);
    }
    for (unsigned i = STRAY_RESOURCE_NONE + 1; result == 0 && i < STRAY_USER_END; i++) {
        char name[64];
        seen[i + 3] |= point->open[i] != 0;
        if (!seen[i + 3] || !export_wants(options, i))
            continue;
        snprintf(name, sizeof(name), "open_%s", resource_label(i));
        result = counter_row(point, name, point->open[i], sink);
    }
    return result;
}

static int counter_rows(const struct ledger *ledger, const struct export_options *options,
                        const struct table_sink *sink)
{
    bool seen[COUNTERS] = {false};
    int result = 0;
    for (size_t i = 0; result == 0 && i < ledger->point_count; i++) {
        if (i > 0 && ledger->points[i].process != ledger->points[i - 1].process)
            memset(seen, 0, sizeof(seen));
        result = point_rows(&ledger->points[i], options, seen, sink);
    }
    return result;
}

/* ---- the list ---- */

#define WHOLE(name)                                                                                          \
    {                                                                                                        \
        name, CELL_WHOLE, false                                                                              \
    }
#define WHOLE_OR_NOT(name)                                                                                   \
    {                                                                                                        \
        name, CELL_WHOLE, true                                                                               \
    }
#define REAL(name)                                                                                           \
    {                                                                                                        \
        name, CELL_REAL, true                                                                                \
    }
#define TEXT(name)                                                                                           \
    {                                                                                                        \
        name, CELL_TEXT, false                                                                               \
    }
#define TEXT_OR_NOT(name)                                                                                    \
    {                                                                                                        \
        name, CELL_TEXT, true                                                                                \
    }
#define TRUTH(name)                                                                                          \
    {                                                                                                        \
        name, CELL_TRUTH, false                                                                              \
    }

#define LABEL TEXT("label")

const struct table tables[] = {
    {"trace",
     false,
     {TEXT("path"), TRUTH("complete"), WHOLE("events"), WHOLE("lost_events"), REAL("duration_s"),
      TEXT("work_axis"), WHOLE("work"), WHOLE_OR_NOT("heap_sampled_bytes"), LABEL},
     trace_rows},
    {"process",
     true,
     {WHOLE("id"), WHOLE("pid"), WHOLE("parent_pid"), TEXT_OR_NOT("exe"), TEXT_OR_NOT("started"),
      REAL("duration_s"), REAL("end_s"), TEXT("ending"), WHOLE("events"), WHOLE("lost_events"), LABEL},
     process_rows},
    {"frame",
     true,
     {WHOLE("id"), TEXT_OR_NOT("function"), TEXT_OR_NOT("file"), WHOLE_OR_NOT("line"), TEXT_OR_NOT("module"),
      WHOLE("module_offset"), TEXT("language"), TRUTH("own"), TRUTH("inlined"), TEXT_OR_NOT("code"), LABEL},
     frame_rows},
    {"stack",
     true,
     {WHOLE("id"), WHOLE("frames"), WHOLE_OR_NOT("blame_frame"), TRUTH("truncated"), LABEL},
     stack_rows},
    {"stack_frame", false, {WHOLE("stack"), WHOLE("depth"), WHOLE("frame"), LABEL}, stack_frame_rows},
    {"place",
     true,
     {WHOLE("id"), WHOLE("process"), TEXT("resource"), WHOLE_OR_NOT("stack"), TEXT_OR_NOT("peer"),
      TEXT("kind"), WHOLE("opened"), WHOLE("closed"), WHOLE("open"), WHOLE("bytes_open"), WHOLE("peak"),
      WHOLE("opened_by_end"), WHOLE("alive"), WHOLE("alive_bytes"), REAL("first_s"), REAL("last_s"),
      TRUTH("estimated"), LABEL},
     place_rows},
    {"life",
     true,
     {WHOLE("id"), WHOLE("process"), WHOLE("place"), TEXT("resource"), TEXT_OR_NOT("peer"), TEXT("kind"),
      WHOLE("handle"), WHOLE("thread"), REAL("opened_s"), REAL("ended_s"), REAL("used_s"), REAL("busy_s"),
      REAL("connect_s"), WHOLE("uses"), WHOLE_OR_NOT("statements"), TEXT_OR_NOT("tcp_state"), TEXT("closed"),
      WHOLE_OR_NOT("closing_stack"), WHOLE_OR_NOT("partner"), LABEL},
     life_rows},
    {"site",
     true,
     {WHOLE("id"), TEXT("resource"), TEXT_OR_NOT("function"), TEXT_OR_NOT("file"), WHOLE_OR_NOT("line"),
      TEXT_OR_NOT("module"), TEXT("language"), TEXT_OR_NOT("peer"), WHOLE("opened"), WHOLE("closed"),
      WHOLE("open"), WHOLE("bytes_open"), TEXT("verdict"), REAL("first_s"), REAL("last_s"), TRUTH("estimated"), TEXT_OR_NOT("code"), LABEL},
     site_rows},
    {"finding",
     true,
     {TEXT("id"), TEXT("verdict"), TEXT("resource"), TEXT("severity"), TEXT("confidence"), TEXT("message"),
      TEXT_OR_NOT("function"), TEXT_OR_NOT("file"), WHOLE_OR_NOT("line"), TEXT_OR_NOT("peer"), WHOLE("count"),
      WHOLE("bytes"), REAL("rate_per_hour"), REAL("rate_low"), REAL("rate_high"), REAL("first_s"),
      REAL("last_s"), TEXT_OR_NOT("caused_by"), TRUTH("estimated"), TEXT_OR_NOT("code"), LABEL},
     finding_rows},
    {"counter", false, {WHOLE("process"), REAL("time_s"), TEXT("name"), WHOLE("value"), LABEL}, counter_rows},
    {0},
};

void table_define_columns(const struct table *table, const char *const *types, const char *first, const char *next, bool label_in_key,
                          FILE *out)
{
    for (size_t i = 0; i < table_width(table); i++) {
        const struct table_column *column = &table->columns[i];
        bool alone = i == 0 && table->keyed && !label_in_key;
        const char *constraint = alone ? " PRIMARY KEY" : column->nullable ? "" : " NOT NULL";
        fprintf(out, "%s%s\"%s\" %s%s", i ? "," : "", i ? next : first, column->name, types[column->type], constraint);
    }
    if (table->keyed && label_in_key)
        fprintf(out, ",%sPRIMARY KEY (\"label\", \"%s\")", next, table->columns[0].name);
}

/* ---- the label ---- */

struct labelled {
    const struct table_sink *sink;
    size_t width; /* without the label */
    const char *label;
};

/* Texts are the trace's own, of any bytes, until here. */
static int labelled_row(void *data, const struct cell *cells)
{
    const struct labelled *labelled = data;
    struct cell all[TABLE_COLUMNS];
    char *made[TABLE_COLUMNS];
    int result = 0;
    memcpy(all, cells, labelled->width * sizeof(*all));
    all[labelled->width] = text(labelled->label);
    for (size_t i = 0; i <= labelled->width; i++) {
        made[i] = all[i].type == CELL_TEXT ? safe_text(all[i].text) : NULL;
        if (all[i].type == CELL_TEXT && !made[i])
            result = -ENOMEM;
        all[i].text = made[i] ? made[i] : all[i].text;
    }
    if (result == 0)
        result = labelled->sink->row(labelled->sink->data, all);
    for (size_t i = 0; i <= labelled->width; i++)
        free(made[i]);
    return result;
}

int table_give(const struct table *table, const struct ledger *ledger, const struct export_options *options,
               const struct table_sink *sink)
{
    struct labelled labelled = {sink, table_width(table) - 1, options->label ? options->label : ""};
    return table->rows(ledger, options, &(struct table_sink){&labelled, labelled_row});
}
