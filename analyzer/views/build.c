/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From trace files to a report: opens each trace in turn, passes over it once, and closes it again. And to one report after the other of
 * a trace that is written still. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "names/packed.h"
#include "read/resume.h"
#include "views/numbers.h"
#include "views/report_steps.h"

static void describe_kin(const struct stray_file_header *header, const struct process *process,
                         const struct lives *lives, struct report_process *about)
{
    memcpy(about->trace_id, header->trace_id, sizeof(about->trace_id));
    memcpy(about->parent_id, header->parent_id, sizeof(about->parent_id));
    about->forked = header->origin == STRAY_ORIGIN_FORK;
    about->began = header->origin == STRAY_ORIGIN_START || header->origin == STRAY_ORIGIN_EXEC;
    about->starttime_ticks = process->starttime_ticks;
    about->start_time = process->start_time;
    about->end_time = process->running ? UINT64_MAX : lives->last_time;
}

/* Words of a command that may hold a password are told by the shim already; here they are only pointed to. */
static void describe(struct trace *trace, const struct lives *lives, struct report_process *ret_process)
{
    const struct process *process = trace_process(trace);
    const struct damage *damage = trace_damage(trace);
    struct report_process about = {
        .pid = process->pid,
        .parent_pid = process->parent_pid,
        .exe = process->exe,
        .start_realtime_ns = process->start_realtime_ns,
        .events = lives->events,
        .lost_events = damage->lost_events,
        .complete = damage->complete,
        .damage = *damage,
        .exit_known = lives->exit_known,
        .exit_status = lives->exit_status,
    };
    describe_kin(trace_header(trace), process, lives, &about);
    if (lives->events > 0)
        about.duration_s = trace_seconds(trace, lives->last_time);
    about.command = (const char **)(uintptr_t)process->command;
    while (process->command && process->command[about.command_count])
        about.command_count++;
    static const char *const words[] = {[ENDING_EXIT] = "exit",
                                        [ENDING_SIGNAL] = "signal",
                                        [ENDING_EXEC] = "exec",
                                        [ENDING_DETACHED] = "detached"};
    about.end_seen = true;
    if (lives->ending != ENDING_UNSEEN)
        about.end = words[lives->ending];
    else if (process->running)
        about.end = "running";
    else if (lives->deadly)
        report_killed_by(&about, lives->deadly);
    else
        about.end_seen = false;
    if (!about.end_seen)
        about.end = "killed";
    *ret_process = about;
}

static const struct stack *stack_of(void *names, uint32_t node)
{
    return names_stack(names, node);
}

static int add_note(struct report *report, const char *note)
{
    for (size_t i = 0; i < report->note_count; i++)
        if (strcmp(report->notes[i], note) == 0)
            return 0;
    const char **moved = reallocarray(report->notes, report->note_count + 1, sizeof(*moved));
    if (!moved)
        return -ENOMEM;
    report->notes = moved;
    report->notes[report->note_count] = report_keep(report, note);
    if (!report->notes[report->note_count])
        return -ENOMEM;
    report->note_count++;
    return 0;
}

static int note_left_out(struct report *report, const char *left_out)
{
    char note[1024];
    if (!left_out)
        return 0;
    snprintf(note, sizeof(note), "left out: %s", left_out);
    report->complete = false;
    return add_note(report, note);
}

static int note_samples(struct report *report, uint64_t mean)
{
    char note[128];
    struct words size;
    if (mean == 0)
        return 0;
    if (mean > report->heap_sampled)
        report->heap_sampled = mean;
    snprintf(note, sizeof(note), "the heap was sampled every %s: figures with ~ are estimates", words_bytes(&size, (double)mean));
    return add_note(report, note);
}

static int add_notes(struct report *report, const struct trace *trace)
{
    const char *const *notes;
    size_t count = trace_notes(trace, &notes);
    int result = note_samples(report, trace_sampled(trace));
    for (size_t i = 0; result == 0 && i < count; i++)
        result = add_note(report, notes[i]);
    return result;
}

/* What has come of one trace. */
static int tell(struct report *report, struct trace *trace, struct names *names, const struct lives *lives,
                const struct report_options *options)
{
    const struct report_visitor *visitor = options->visitor;
    struct report_process process;
    struct report_stacks stacks = {names, stack_of};
    describe(trace, lives, &process);
    int result = report_run(report, trace_path(trace), &process.run);
    if (result == 0)
        result = report_add(report, &process, lives, &stacks, options->all);
    if (result == 0)
        result = add_notes(report, trace);
    if (result == 0 && visitor)
        result = visitor->process(visitor->data, &process, lives, &stacks);
    return result;
}

static int add_trace(struct report *report, struct trace *trace, struct symbols *symbols,
                     const struct report_options *options, struct error *error)
{
    struct names *names = NULL;
    struct lives *lives = NULL;
    int result = packed_read_beside(symbols, trace_path(trace));
    if (result == 0)
        result = names_open(trace, symbols, options->library, options->mine, &names);
    if (result < 0)
        return error_set(error, result, "%s: %s", trace_path(trace), error_reason(result));
    const struct report_visitor *visitor = options->visitor;
    result = lives_read(trace, names, visitor != NULL, visitor ? visitor->event : NULL, visitor ? visitor->data : NULL,
                        &lives, error);
    if (result == 0) {
        result = tell(report, trace, names, lives, options);
        if (result < 0)
            error_set(error, result, "%s: %s", trace_path(trace), error_reason(result));
    }
    lives_close(lives);
    names_close(names);
    return result;
}

int report_build(char *const *paths, size_t count, const char *given, const struct report_options *options,
                 struct report **ret_report, struct error *error)
{
    struct report *report;
    struct symbols *symbols;
    int result = report_begin(given, &report);
    if (result < 0)
        return error_set(error, result, "%s: %s", given, error_reason(result));
    report->limits = options->limits;
    report->with_statements = options->statements;
    report->limit_count = options->limit_count;
    result = note_left_out(report, options->left_out);
    if (result == 0 && options->places)
        result = report_want_places(report);
    if (result == 0)
        result = symbols_open(&symbols);
    if (result < 0) {
        report_free(report);
        return error_set(error, result, "%s: %s", given, error_reason(result));
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        struct trace *trace;
        result = trace_open(paths[i], &trace, error);
        if (result < 0)
            break;
        result = add_trace(report, trace, symbols, options, error);
        trace_close(trace);
    }
    symbols_close(symbols);
    if (result == 0) {
        result = report_end(report);
        if (result < 0)
            error_set(error, result, "%s: %s", given, error_reason(result));
    }
    if (result < 0)
        report_free(report);
    else
        *ret_report = report;
    return result;
}

/* ---- of a trace that is written still ---- */

struct report_live {
    struct symbols *symbols;
    struct trace *trace;
    struct names *names;
    struct lives *lives;
    struct resume resume;
};

void report_live_close(struct report_live *live)
{
    if (!live)
        return;
    resume_free(&live->resume);
    lives_close(live->lives);
    names_close(live->names);
    trace_close(live->trace);
    symbols_close(live->symbols);
    free(live);
}

/* The time of the last event, but for the last `seconds`; 0: there is not so much. */
static uint64_t time_before_end(const struct trace *trace, double seconds)
{
    uint64_t last = trace_last_time(trace), begin = trace_process(trace)->start_time;
    double share = seconds / trace_span_seconds(trace, last > begin ? last - begin : 1);
    return last > begin && share < 1 ? last - (uint64_t)(share * (double)(last - begin)) : 0;
}

static bool is_whole(const struct trace *trace)
{
    const struct damage *damage = trace_damage(trace);
    return !damage->frames_damaged && !damage->bytes_skipped && !damage->frames_missing && !damage->header_damaged &&
           !damage->spool_damaged;
}

static int read_live(struct report_live *live, const char *path, double seconds, const struct report_options *options)
{
    struct error error;
    int result = symbols_open(&live->symbols);
    if (result == 0)
        result = trace_open(path, &live->trace, &error);
    if (result < 0)
        return result;
    uint64_t until = time_before_end(live->trace, seconds);
    if (until == 0 || !trace_process(live->trace)->running || !is_whole(live->trace))
        return -ESTALE;
    result = packed_read_beside(live->symbols, path);
    if (result == 0)
        result = names_open(live->trace, live->symbols, options->library, options->mine, &live->names);
    return result == 0 ? lives_read_until(live->trace, live->names, until, &live->lives, &live->resume) : result;
}

int report_live_open(const char *path, double seconds, const struct report_options *options, struct report_live **ret_live)
{
    struct report_live *live = calloc(1, sizeof(*live));
    int result = live ? read_live(live, path, seconds, options) : -ENOMEM;
    if (result == 0 && !is_whole(live->trace))
        result = -ESTALE;
    if (result < 0)
        report_live_close(live);
    else
        *ret_live = live;
    return result;
}

static int read_on(struct report_live *live, struct trace *trace, const struct report_options *options, struct report *report)
{
    struct names *names;
    int result = names_open(trace, live->symbols, options->library, options->mine, &names);
    if (result < 0)
        return result;
    result = lives_read_on(live->lives, trace, names, &live->resume);
    if (result == 0)
        result = tell(report, trace, names, live->lives, options);
    names_close(names);
    return result;
}

int report_live_build(struct report_live *live, const char *given, const struct report_options *options, struct report **ret_report)
{
    struct report *report;
    struct trace *trace;
    struct error error;
    int result = report_begin(given, &report);
    if (result < 0)
        return result;
    result = note_left_out(report, options->left_out);
    if (result == 0)
        result = trace_open(trace_path(live->trace), &trace, &error);
    if (result == 0) {
        result = read_on(live, trace, options, report);
        trace_close(trace);
    }
    if (result == 0)
        result = report_end(report);
    if (result < 0)
        report_free(report);
    else
        *ret_report = report;
    return result;
}
