/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the statements of one process came to, added to the rows of their fingerprints. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "views/report.h"

/* A statement whose text is not kept is known by its definition's hash alone, which has no text to be parsed. */
static bool name_statement(const char *text, uint64_t definition, char ret_fingerprint[FINGERPRINT_SIZE])
{
    if (text && text[0])
        return fingerprint_of(text, ret_fingerprint);
    char unknown[32];
    snprintf(unknown, sizeof(unknown), "#%llu", (unsigned long long)definition);
    fingerprint_of(unknown, ret_fingerprint);
    return false;
}

static struct report_statement *row_of(struct report *report, const struct lives *lives, uint64_t definition)
{
    const struct lives_source *source = &lives->source;
    const char *text = source->statement && definition ? source->statement(source->data, definition) : NULL;
    struct report_statement row = {.first_s = -1};
    row.parsed = name_statement(text, definition, row.fingerprint);
    for (size_t i = 0; i < report->statement_count; i++)
        if (strcmp(report->statements[i].fingerprint, row.fingerprint) == 0)
            return &report->statements[i];
    row.text = report_statement(report, lives, definition);
    struct report_statement *added = report_append(&report->statements, &report->statement_count, sizeof(*added));
    if (added)
        *added = row;
    return added;
}

static bool same_frame(const struct report_frame *a, const struct report_frame *b)
{
    bool lines = a->line == b->line && a->offset == b->offset;
    bool functions = a->function && b->function ? strcmp(a->function, b->function) == 0 : a->function == b->function;
    return lines && functions && (a->file && b->file ? strcmp(a->file, b->file) == 0 : a->file == b->file);
}

static int add_sender(struct report *report, struct report_statement *row, const struct stack *stack, uint64_t calls)
{
    bool known = stack->count > 0;
    struct report_frame frame = {0};
    if (known)
        frame = report_copy_frame(report, &stack->frames[stack->blame]);
    for (size_t i = 0; i < row->sender_count; i++)
        if (row->senders[i].known == known && same_frame(&row->senders[i].frame, &frame)) {
            row->senders[i].calls += calls;
            return 0;
        }
    struct report_sender *added = report_append(&row->senders, &row->sender_count, sizeof(*added));
    if (!added)
        return -ENOMEM;
    *added = (struct report_sender){frame, known, calls};
    return 0;
}

static void add_times(struct report_statement *row, const struct report_process *process, double first_s, double last_s)
{
    uint64_t start = process->start_realtime_ns;
    uint64_t first_ns = start ? start + (uint64_t)(first_s * 1e9) : 0, last_ns = start ? start + (uint64_t)(last_s * 1e9) : 0;
    bool fresh = row->first_s < 0;
    row->first_s = fresh || first_s < row->first_s ? first_s : row->first_s;
    row->last_s = fresh || last_s > row->last_s ? last_s : row->last_s;
    row->first_ns = fresh || first_ns < row->first_ns ? first_ns : row->first_ns;
    row->last_ns = fresh || last_ns > row->last_ns ? last_ns : row->last_ns;
}

static void add_figures(struct report_statement *row, const struct lives *lives, const struct statement_use *use)
{
    double longest = lives->source.span(lives->source.data, use->longest);
    row->calls += use->calls;
    row->errors += use->errors;
    row->rows += use->rows;
    row->bytes += use->bytes;
    row->connections += use->connections;
    row->total_s += lives->source.span(lives->source.data, use->ticks);
    row->longest_s = longest > row->longest_s ? longest : row->longest_s;
    for (unsigned i = 0; i < DURATION_BUCKETS; i++)
        row->durations[i] += use->durations[i];
}

int report_add_rows(struct report *report, const struct report_process *process, const struct lives *lives,
                    const struct report_stacks *stacks)
{
    for (size_t i = 0; i < lives->statements.use_count; i++) {
        const struct statement_use *use = &lives->statements.uses[i];
        struct report_statement *row = row_of(report, lives, use->definition);
        if (!row)
            return -ENOMEM;
        add_figures(row, lives, use);
        add_times(row, process, report_seconds(lives, use->first), report_seconds(lives, use->last));
        int result = add_sender(report, row, stacks->stack(stacks->data, use->stack), use->calls);
        if (result < 0)
            return result;
    }
    return 0;
}
