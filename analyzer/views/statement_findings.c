/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the statements of one process give away, as findings of the report. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "read/words.h"
#include "verdicts/statements.h"
#include "views/report_steps.h"

/* What findings are made from. */
struct maker {
    struct report *report;
    const struct lives *lives;
    const struct report_stacks *stacks;
    uint32_t pid;
};

char *report_shown_statement(const char *text)
{
    char *shown = text && text[0] ? strdup(text) : NULL, *to = shown;
    if (!shown)
        return NULL;
    for (const char *from = text; *from; from++)
        if (from[0] != '$' || from[1] != '?')
            *to++ = *from;
    *to = '\0';
    return shown;
}

const char *report_statement(struct report *report, const struct lives *lives, uint64_t definition)
{
    const struct lives_source *source = &lives->source;
    char *shown = source->statement && definition ? report_shown_statement(source->statement(source->data, definition)) : NULL;
    const char *kept = report_keep(report, shown);
    free(shown);
    return kept;
}

static double span(const struct maker *maker, uint64_t ticks)
{
    return maker->lives->source.span(maker->lives->source.data, ticks);
}

static void fact_add(struct report_finding *finding, const char *name, double value, bool count, bool summed)
{
    finding->facts[finding->fact_count++] = (struct fact){name, value, count, summed};
}

static int place(const struct maker *maker, uint32_t stack, unsigned resource, uint64_t first, uint64_t last,
                 struct report_finding *ret_finding)
{
    return report_place_at(maker->report, maker->lives, stack, resource, first, last, maker->stacks, ret_finding);
}

static bool is_in_function_of(const struct report_frame *frame, const struct report_finding *finding)
{
    return same_text(frame->function, finding->site->function) && same_text(frame->file, finding->site->file);
}

/* What leaks was opened in the function of `finding`, or last used there. */
static bool leaks_in_function_of(const struct report_finding *leak, const struct report_finding *finding)
{
    bool found = leak->site && is_in_function_of(leak->site, finding);
    for (size_t i = 0; i < leak->user_count; i++)
        found |= is_in_function_of(&leak->users[i].frame, finding);
    return found;
}

/* Connections that leak from the function of `finding`; REPORT_NONE: there are none. */
static size_t leak_at(const struct report *report, const struct report_finding *finding)
{
    size_t found = REPORT_NONE;
    for (size_t i = 0; finding->site && i < report->finding_count; i++) {
        const struct report_finding *leak = &report->findings[i];
        bool of_connections = leak->resource == STRAY_CONNECTION || (leak->resource == STRAY_PGCONN && found == REPORT_NONE);
        if (leak->verdict == VERDICT_LEAKED && of_connections && leaks_in_function_of(leak, finding))
            found = i;
    }
    return found;
}

static int add(const struct maker *maker, struct report_finding *finding, const struct statement_judgement *judgement)
{
    size_t index, cause = finding->cause;
    finding->verdict = judgement->verdict;
    finding->severity = judgement->severity;
    finding->confidence = judgement->confidence;
    finding->cause = REPORT_NONE;
    int result = report_add_finding(maker->report, finding, &maker->pid, 1, &index);
    return result == 0 && cause != REPORT_NONE ? report_claim_cause(maker->report, index, cause) : result;
}

/* A finding about `use` with what all of them say. */
static int begin(const struct maker *maker, const struct statement_use *use, unsigned resource, uint64_t count,
                 struct report_finding *ret_finding)
{
    int result = place(maker, use->stack, resource, use->first, use->last, ret_finding);
    if (result < 0)
        return result;
    ret_finding->statement = report_statement(maker->report, maker->lives, use->definition);
    ret_finding->count = count;
    fact_add(ret_finding, "calls", (double)use->calls, true, true);
    fact_add(ret_finding, "seconds", span(maker, use->ticks), false, true);
    return 0;
}

static int add_loop(const struct maker *maker, const struct statement_use *use)
{
    struct statement_judgement judgement;
    struct report_finding finding;
    if (!statement_judge_loop(use, &judgement))
        return 0;
    int result = begin(maker, use, STRAY_PGCONN, use->loops.calls, &finding);
    if (result < 0)
        return result;
    fact_add(&finding, "runs", (double)use->loops.runs, true, true);
    fact_add(&finding, "calls_in_runs", (double)use->loops.calls, true, true);
    fact_add(&finding, "longest_run", use->loops.longest, true, false);
    fact_add(&finding, "longest_run_s", span(maker, use->loops.longest_ticks), false, false);
    fact_add(&finding, "in_transaction", use->loops.in_transaction, true, false);
    return add(maker, &finding, &judgement);
}

static int add_result(const struct maker *maker, const struct statement_use *use)
{
    struct statement_judgement judgement;
    struct report_finding finding;
    if (!statement_judge_result(use, &judgement))
        return 0;
    int result = begin(maker, use, STRAY_PGRESULT, use->unbounded, &finding);
    if (result < 0)
        return result;
    finding.bytes = use->bytes_most;
    fact_add(&finding, "rows_most", (double)use->rows_most, true, false);
    if (use->held > 0)
        fact_add(&finding, "held_s", span(maker, use->held), false, false);
    fact_add(&finding, "bytes_most", (double)use->bytes_most, true, false);
    fact_add(&finding, "rows", (double)use->rows, true, true);
    return add(maker, &finding, &judgement);
}

static bool same_activation(const struct frame *a, const struct frame *b)
{
    return same_text(a->function, b->function) && same_text(a->file, b->file) && (a->function || a->offset == b->offset);
}

/* Whether a function of one's own that led to `before` had returned when `later` was reached: from the outermost frame on, the two
 * part ways above it. */
static bool has_returned(const struct stack *before, const struct stack *later)
{
    size_t common = 0;
    while (common < before->count && common < later->count &&
           same_activation(&before->frames[before->count - 1 - common], &later->frames[later->count - 1 - common]))
        common++;
    for (size_t i = 0; i + common < before->count; i++)
        if (before->frames[i].user)
            return true;
    return false;
}

/* Of the large results of one use: how many were held at once, and how long one was kept after whoever asked for it had returned
 * and its thread had gone on; 0: none was. */
struct holding {
    uint64_t results, longest;
};

/* By use, to be freed; NULL without memory. */
static struct holding *holdings_of(const struct maker *maker)
{
    const struct statements *statements = &maker->lives->statements;
    const struct report_stacks *stacks = maker->stacks;
    struct holding *holdings = calloc(statements->use_count + 1, sizeof(*holdings));
    for (size_t i = 0; holdings && i < statements->kept_count; i++) {
        const struct statement_kept *kept = &statements->kept[i];
        struct holding *holding = &holdings[kept->use];
        if (statements->uses[kept->use].held == 0 || !has_returned(stacks->stack(stacks->data, statements->uses[kept->use].stack),
                                                                   stacks->stack(stacks->data, kept->later_stack)))
            continue;
        holding->results = kept->results > holding->results ? kept->results : holding->results;
        holding->longest = kept->longest > holding->longest ? kept->longest : holding->longest;
    }
    return holdings;
}

static int add_held(const struct maker *maker, const struct statement_use *use, const struct holding *holding)
{
    struct statement_judgement judgement;
    struct report_finding finding;
    uint64_t results = use->outlived > holding->results ? use->outlived : holding->results;
    if (use->held == 0 || !statement_judge_held(use, span(maker, holding->longest), &judgement))
        return 0;
    int result = begin(maker, use, STRAY_PGRESULT, results, &finding);
    if (result < 0)
        return result;
    finding.bytes = use->bytes_most;
    fact_add(&finding, "held_s", span(maker, use->held), false, false);
    fact_add(&finding, "kept_after_s", span(maker, holding->longest), false, false);
    fact_add(&finding, "outlived_the_next", (double)use->outlived, true, true);
    fact_add(&finding, "rows_most", (double)use->rows_most, true, false);
    return add(maker, &finding, &judgement);
}

static int add_holdings(const struct maker *maker)
{
    const struct statements *statements = &maker->lives->statements;
    struct holding *holdings = holdings_of(maker);
    int result = holdings ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < statements->use_count; i++)
        result = add_held(maker, &statements->uses[i], &holdings[i]);
    free(holdings);
    return result;
}

static int add_prepared(const struct maker *maker, const struct statement_prepared *prepared)
{
    struct statement_judgement judgement;
    struct report_finding finding;
    if (!statement_judge_prepared(prepared, &judgement))
        return 0;
    int result = place(maker, prepared->stack, RESOURCE_PREPARED, prepared->first, prepared->last, &finding);
    if (result < 0)
        return result;
    finding.statement = report_statement(maker->report, maker->lives, prepared->definition);
    /* Of each connection the last one made may be in use yet; it goes with the others where these are all. */
    bool all = prepared->left <= prepared->abandoned + prepared->connections;
    finding.count = all ? prepared->left : prepared->abandoned;
    fact_add(&finding, "opened", (double)prepared->made, true, true);
    fact_add(&finding, "deallocated", (double)prepared->deallocated, true, true);
    fact_add(&finding, "never_used_again", (double)prepared->abandoned, true, true);
    fact_add(&finding, "connections", (double)prepared->connections, true, true);
    return add(maker, &finding, &judgement);
}

static int add_text(const struct maker *maker, const struct statement_use *use)
{
    struct statement_judgement judgement;
    struct report_finding finding;
    if (!statement_judge_text(use, &judgement))
        return 0;
    int result = begin(maker, use, STRAY_PGCONN, use->calls, &finding);
    if (result < 0)
        return result;
    fact_add(&finding, "members_most", (double)use->members_most, true, false);
    fact_add(&finding, "length_most", (double)use->length_most, true, false);
    return add(maker, &finding, &judgement);
}

static int add_overwrites(const struct maker *maker, const struct statement_use *use)
{
    struct statement_judgement judgement;
    struct report_finding finding;
    if (!statement_judge_overwrites(use, &judgement))
        return 0;
    int result = begin(maker, use, STRAY_PGCONN, use->overwrites, &finding);
    if (result == 0)
        result = add(maker, &finding, &judgement);
    return result;
}

static int add_use(const struct maker *maker, const struct statement_use *use)
{
    int result = add_loop(maker, use);
    if (result == 0)
        result = add_result(maker, use);
    if (result == 0)
        result = add_text(maker, use);
    if (result == 0)
        result = add_overwrites(maker, use);
    return result;
}

static int add_idle(const struct maker *maker, const struct statement_idle *idle)
{
    struct statement_judgement judgement;
    struct report_finding finding;
    const struct lives *lives = maker->lives;
    double longest = span(maker, idle->longest), run = span(maker, lives->tc - lives->first_time);
    if (!statement_judge_idle(longest, run, &judgement))
        return 0;
    int result = place(maker, idle->stack, STRAY_PGCONN, idle->first, idle->last, &finding);
    if (result < 0)
        return result;
    if (idle->last_use != STATEMENTS_NONE)
        finding.statement = report_statement(maker->report, lives, lives->statements.uses[idle->last_use].definition);
    finding.count = idle->times;
    fact_add(&finding, "longest_s", longest, false, false);
    fact_add(&finding, "seconds", span(maker, idle->ticks), false, true);
    fact_add(&finding, "left_at_end", (double)idle->connections, true, true);
    fact_add(&finding, "failed", idle->failed, true, false);
    if (idle->connections == idle->times) /* nothing came after: who leaks them leaves their transactions */
        finding.cause = leak_at(maker->report, &finding);
    return add(maker, &finding, &judgement);
}

static bool names(const char *text, const char *part)
{
    return text && strstr(text, part);
}

/* The innermost frame of Python's own loops, which wait and then run what is due; `count` of the stack: there is none. */
static size_t loop_frame(const struct stack *stack)
{
    size_t i = 0;
    while (i < stack->count && !names(stack->frames[i].function, "_run_once") && !names(stack->frames[i].module, "uvloop"))
        i++;
    return i;
}

static size_t python_frames(const struct stack *stack, size_t end)
{
    size_t count = 0;
    for (size_t i = 0; i < end; i++)
        count += stack->frames[i].language == LANGUAGE_PYTHON;
    return count;
}

static bool waits_for_events(uint16_t hook)
{
    return hook >= STRAY_HOOK_epoll_wait && hook <= STRAY_HOOK_pselect;
}

/* Which of the calls kept an event loop that others depend on; NULL: none. A loop of Python shows on the stack, and any of its coroutines
 * depends on it. What it runs may itself wait for events, and that keeps it; the loop's own wait does not. */
static const struct blocked_calls *kept_event_loop(const struct stack *stack, const struct statement_blocked *blocked)
{
    size_t loop = loop_frame(stack), inside = python_frames(stack, loop);
    bool found = loop < stack->count, wait = waits_for_events(blocked->hook);
    if (found)
        return !wait || (inside > 0 && !names(stack->frames[loop - 1].function, "select")) ? &blocked->all : NULL;
    return !wait && inside == 0 && blocked->serving.calls > 0 ? &blocked->serving : NULL;
}

static bool is_of_libpq(uint16_t hook)
{
    const char *name = hook_name(hook); /* a trace may tell of one that has none */
    return hook < STRAY_HOOK_END && name && strncmp(name, "PQ", 2) == 0;
}

static int add_blocked(const struct maker *maker, const struct statement_blocked *blocked)
{
    struct statement_judgement judgement;
    struct report_finding finding;
    const struct blocked_calls *calls = kept_event_loop(maker->stacks->stack(maker->stacks->data, blocked->stack), blocked);
    double longest = calls ? span(maker, calls->longest) : 0;
    if (!statement_judge_blocked(longest, &judgement))
        return 0;
    unsigned resource = is_of_libpq(blocked->hook) ? STRAY_PGCONN : STRAY_CONNECTION;
    int result = place(maker, blocked->stack, resource, calls->first, calls->last, &finding);
    if (result < 0)
        return result;
    finding.call = report_keep(maker->report, hook_name(blocked->hook));
    finding.count = calls->calls;
    fact_add(&finding, "longest_s", longest, false, false);
    fact_add(&finding, "seconds", span(maker, calls->ticks), false, true);
    return add(maker, &finding, &judgement);
}

int report_add_statements(struct report *report, const struct lives *lives, const struct report_stacks *stacks, uint32_t pid)
{
    const struct maker maker = {report, lives, stacks, pid};
    const struct statements *statements = &lives->statements;
    int result = 0;
    for (size_t i = 0; i < statements->use_count && result == 0; i++)
        result = add_use(&maker, &statements->uses[i]);
    if (result == 0)
        result = add_holdings(&maker);
    for (size_t i = 0; i < statements->prepared_count && result == 0; i++)
        result = add_prepared(&maker, &statements->prepared[i]);
    for (size_t i = 0; i < statements->idle_count && result == 0; i++)
        result = add_idle(&maker, &statements->idles[i]);
    for (size_t i = 0; i < statements->blocked_count && result == 0; i++)
        result = add_blocked(&maker, &statements->blocked[i]);
    return result;
}
