/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stray info: what a trace holds. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "commands/commands.h"
#include "commands/common.h"
#include "json_memory.h"
#include "read/merge.h"
#include "read/words.h"

static const char usage[] =
    "usage: stray info [TRACE...] [--format text|json]\n"
    "\n"
    "Writes what each trace holds: its process, its events by action and resource,\n"
    "what was lost or is damaged, the options it was recorded with, and what the\n"
    "recorder noted.\n"
    "\n"
    "TRACE: a trace file, a folder of them, a packed file, or - (standard input).\n"
    "Without: the newest folder stray.* here.\n";

#define KINDS 256 /* actions and resources are bytes */

struct summary {
    const struct trace *trace;
    uint64_t events, first_time, last_time;
    uint64_t counts[KINDS][KINDS]; /* by action and resource */
    const char *end;               /* as in the report's processes */
    uint64_t status;               /* with end "exit" */
};

static const char *ending_word(uint64_t ending)
{
    switch (ending) {
    case STRAY_ENDING_EXEC:
        return "exec";
    case STRAY_ENDING_SIGNAL:
        return "signal";
    case STRAY_ENDING_DETACH:
        return "detached";
    default:
        return "exit";
    }
}

static void note_end(struct summary *summary, const struct stray_event *event)
{
    switch (event->action) {
    case STRAY_END:
        summary->end = ending_word(event->value);
        summary->status = STRAY_EXIT_STATUS(event->handle);
        break;
    case STRAY_EXEC:
        summary->end = "exec";
        break;
    case STRAY_EXEC_FAILED:
        summary->end = NULL;
        break;
    case STRAY_SIGNAL:
        if (!summary->end && event->handle == STRAY_SIGNAL_DEADLY)
            summary->end = "signal";
        break;
    default:
        break;
    }
}

static void count_event(void *data, const struct stray_event *event)
{
    struct summary *summary = data;
    summary->events++;
    summary->counts[event->action][event->resource]++;
    if (event->time > summary->last_time)
        summary->last_time = event->time;
    note_end(summary, event);
}

static int summarise(struct trace *trace, struct summary *summary)
{
    summary->first_time = trace_process(trace)->start_time;
    summary->last_time = summary->first_time;
    int result = merge_each(trace, count_event, summary);
    if (trace_process(trace)->running)
        summary->end = "running";
    if (!summary->end)
        summary->end = "killed";
    return result;
}

static void start_text(const struct process *process, char *text, size_t size)
{
    time_t seconds = (time_t)(process->start_realtime_ns / 1000000000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t used = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + used, size - used, ".%09uZ", (unsigned)(process->start_realtime_ns % 1000000000));
}

static const char *origin_word(uint32_t origin)
{
    static const char *const words[] = {"start", "fork", "exec", "attach"};
    return origin < sizeof(words) / sizeof(*words) ? words[origin] : "unknown";
}

/* "open heap", also for numbers without a word. */
static void kind_text(unsigned action, unsigned resource, char *text, size_t size)
{
    char number[32];
    const char *word = action_word(action), *label = resource_label(resource);
    if (!word) {
        snprintf(number, sizeof(number), "action-%u", action);
        word = number;
    }
    if (label)
        snprintf(text, size, "%s %s", word, label);
    else if (resource)
        snprintf(text, size, "%s resource-%u", word, resource);
    else
        snprintf(text, size, "%s", word);
}

static void print_line(const char *title, const char *text)
{
    printf("%-10s ", title);
    print_safe(stdout, text);
    putchar('\n');
}

static void print_process(const struct summary *summary)
{
    const struct process *process = trace_process(summary->trace);
    char start[64];
    printf("%-10s %" PRIu32 ", child of %" PRIu32 ", traced from its %s\n", "process", process->pid,
           process->parent_pid, origin_word(trace_header(summary->trace)->origin));
    if (process->exe)
        print_line("program", process->exe);
    if (process->command && process->command[0]) {
        printf("%-10s", "command");
        for (const char *const *word = process->command; *word; word++) {
            putchar(' ');
            print_safe(stdout, *word);
        }
        putchar('\n');
    }
    if (process->start_realtime_ns) {
        start_text(process, start, sizeof(start));
        print_line("started", start);
    }
}

static void print_counts(const struct summary *summary)
{
    char kind[96];
    for (unsigned action = 0; action < KINDS; action++)
        for (unsigned resource = 0; resource < KINDS; resource++) {
            if (summary->counts[action][resource] == 0)
                continue;
            kind_text(action, resource, kind, sizeof(kind));
            printf("  %-28s %" PRIu64 "\n", kind, summary->counts[action][resource]);
        }
}

static void print_texts(const char *title, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        print_line(title, texts[i]);
}

static void print_text(const struct summary *summary)
{
    const struct damage *damage = trace_damage(summary->trace);
    const char *const *texts;
    const struct module *modules;
    char wrong[512];
    print_line("trace", trace_path(summary->trace));
    print_process(summary);
    printf("%-10s %.3f s\n", "duration",
           trace_span_seconds(summary->trace, summary->last_time - summary->first_time));
    printf("%-10s %s", "end", summary->end);
    if (strcmp(summary->end, "exit") == 0)
        printf(", status %" PRIu64, summary->status);
    printf("\n%-10s %" PRIu64 ", %" PRIu64 " lost, %" PRIu64 " recovered from the spool\n", "events",
           summary->events, damage->lost_events, damage->events_recovered);
    print_counts(summary);
    printf("%-10s %" PRIu32 " nodes, %zu modules\n", "stacks", trace_node_count(summary->trace),
           trace_modules(summary->trace, &modules));
    if (trace_sampled(summary->trace))
        printf("%-10s the heap, a block every %" PRIu64 " bytes\n", "sampled", trace_sampled(summary->trace));
    size_t count = trace_options(summary->trace, &texts);
    print_texts("option", texts, count);
    count = trace_notes(summary->trace, &texts);
    print_texts("note", texts, count);
    damage_describe(damage, wrong, sizeof(wrong));
    print_line("damage", wrong[0] ? wrong : "none");
}

static json_t *texts_json(const char *const *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_text(texts[i]));
    return list;
}

static json_t *counts_json(const struct summary *summary)
{
    json_t *list = json_array();
    for (unsigned action = 0; action < KINDS; action++)
        for (unsigned resource = 0; resource < KINDS; resource++) {
            if (summary->counts[action][resource] == 0)
                continue;
            const char *word = action_word(action), *label = resource_label(resource);
            json_t *row = json_pack("{s:o, s:o, s:o}", "action",
                                    word ? json_string(word) : json_sprintf("action-%u", action), "resource",
                                    label      ? json_string(label)
                                    : resource ? json_sprintf("resource-%u", resource)
                                               : json_null(),
                                    "events", json_number(summary->counts[action][resource]));
            json_array_append_new(list, row);
        }
    return list;
}

static json_t *damage_json(const struct damage *damage)
{
    char wrong[512];
    damage_describe(damage, wrong, sizeof(wrong));
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:o}", "frames", json_number(damage->frames_read),
                     "frames_damaged", json_number(damage->frames_damaged), "frames_missing",
                     json_number(damage->frames_missing), "bytes_skipped", json_number(damage->bytes_skipped),
                     "truncated", damage->truncated, "header_damaged", damage->header_damaged,
                     "spool_damaged", damage->spool_damaged, "message",
                     wrong[0] ? json_string(wrong) : json_null());
}

static json_t *process_json(const struct summary *summary)
{
    const struct process *process = trace_process(summary->trace);
    size_t words = 0;
    while (process->command && process->command[words])
        words++;
    char start[64];
    start_text(process, start, sizeof(start));
    json_t *object = json_pack("{s:I, s:I, s:o, s:o, s:o, s:s, s:f, s:s}", "pid", (json_int_t)process->pid,
                               "parent_pid", (json_int_t)process->parent_pid, "exe", json_text(process->exe),
                               "command", texts_json(process->command, words), "start",
                               process->start_realtime_ns ? json_string(start) : json_null(), "origin",
                               origin_word(trace_header(summary->trace)->origin), "duration_s",
                               trace_span_seconds(summary->trace, summary->last_time - summary->first_time),
                               "end", summary->end);
    if (object && strcmp(summary->end, "exit") == 0)
        json_object_set_new(object, "exit_status", json_number(summary->status));
    return object;
}

static json_t *summary_json(const struct summary *summary)
{
    const struct damage *damage = trace_damage(summary->trace);
    const char *const *options, *const *notes;
    const struct module *modules;
    size_t option_count = trace_options(summary->trace, &options);
    size_t note_count = trace_notes(summary->trace, &notes);
    json_t *object = json_pack(
        "{s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "path",
        json_text(trace_path(summary->trace)), "complete", damage->complete, "process", process_json(summary),
        "events", json_number(summary->events), "lost_events", json_number(damage->lost_events),
        "recovered_events", json_number(damage->events_recovered), "by_kind", counts_json(summary), "nodes",
        (json_int_t)trace_node_count(summary->trace), "modules",
        json_number(trace_modules(summary->trace, &modules)), "options", texts_json(options, option_count),
        "notes", texts_json(notes, note_count), "damage", damage_json(damage));
    if (object && trace_sampled(summary->trace))
        json_object_set_new(object, "heap_sampled_bytes", json_number(trace_sampled(summary->trace)));
    return object;
}

/* As JSON the summary is added to `list`, else printed. That the list is not whole is said when it is printed. */
static int info_file(const char *path, bool json, json_t *list)
{
    static struct summary summary; /* half a megabyte */
    struct trace *trace;
    struct error error;
    if (trace_open(path, &trace, &error) < 0)
        return fail("%s", error.text);
    summary = (struct summary){.trace = trace};
    bool done = summarise(trace, &summary) == 0;
    if (done && json)
        json_array_append_new(list, summary_json(&summary));
    else if (done)
        print_text(&summary);
    trace_close(trace);
    return done ? STATUS_DONE : fail("%s: out of memory", path);
}

int command_info(int argc, char **argv)
{
    struct simple_options options;
    struct inputs inputs;
    int status;
    if (!simple_verb_begin(argc, argv, usage, inputs_find, &options, &inputs, &status))
        return status;
    json_t *list = options.json ? json_array() : NULL;
    for (size_t i = 0; i < inputs.count; i++) {
        if (i > 0 && !options.json)
            putchar('\n');
        if (info_file(inputs.paths[i], options.json, list) != STATUS_DONE)
            status = STATUS_UNREADABLE;
    }
    inputs_free(&inputs);
    if (options.json && !json_print(json_pack("{s:s, s:o}", "schema", "stray-info/1", "traces", list),
                                    JSON_INDENT(2) | JSON_REAL_PRECISION(15)))
        status = fail("out of memory");
    int finished = output_finish();
    return status != STATUS_DONE ? status : finished;
}
