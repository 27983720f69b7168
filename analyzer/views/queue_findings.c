/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pools of connections that threads wait for, as findings of the report. That a wait was for a connection is told by the code:
 * it stood in a function, or a library's file, that opens connections of the pool as well, and that had returned when the
 * connection was used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "names/function.h"
#include "verdicts/pools.h"
#include "views/report_steps.h"

struct making {
    struct report *report;
    const struct lives *lives;
    const struct report_stacks *stacks;
};

/* What came together of one pool. */
struct told_queue {
    uint32_t group;
    const struct statement_queue *worst; /* where threads waited longest */
    uint64_t times, ticks, longest, first, last;
    uint32_t connections;
    double kept_s, used_s, from_s; /* of all connections; from_s: when the first was opened */
};

static const struct stack *stack_of(const struct making *making, uint32_t node)
{
    return making->stacks->stack(making->stacks->data, node);
}

/* A library's file: one's own may hold all there is, and the standard library is on every thread's stack. */
static bool same_file(const struct frame *a, const struct frame *b)
{
    return !a->user && a->language == LANGUAGE_PYTHON && a->file && strstr(a->file, "-packages/") && same_text(a->file, b->file);
}

static bool holds(const struct stack *stack, const struct frame *frame, bool (*is_same)(const struct frame *, const struct frame *))
{
    for (size_t i = 0; i < stack->count; i++)
        if (is_same(frame, &stack->frames[i]))
            return true;
    return false;
}

/* Whether the wait was made by what opened connections at `open`, and then returned. */
static bool hands_out(const struct making *making, const struct statement_queue *queue, const struct stack *open)
{
    const struct stack *wait = stack_of(making, queue->stack), *next = stack_of(making, queue->next_stack);
    for (size_t i = 0; i < wait->count; i++) {
        const struct frame *frame = &wait->frames[i];
        if ((holds(open, frame, frames_same_function) && !holds(next, frame, frames_same_function)) ||
            (holds(open, frame, same_file) && !holds(next, frame, same_file)))
            return true;
    }
    return false;
}

static const struct statement_conn *conn_of(const struct making *making, const struct life *life, uint32_t *ret_group)
{
    const struct statements *statements = &making->lives->statements;
    const struct statement_conn *conn =
        life->resource == STRAY_PGCONN && life->site != LIVES_NONE ? statements_conn(statements, life->handle, life->birth) : NULL;
    if (conn)
        *ret_group = statements_group(statements, (uint32_t)(conn - statements->conns));
    return conn;
}

/* Whether any connection of the queue's group was opened by who made the threads wait. */
static bool is_for_pool(const struct making *making, const struct statement_queue *queue)
{
    uint32_t group = statements_group(&making->lives->statements, queue->conn), of, seen = LIVES_NONE;
    for (size_t i = 0; i < making->lives->life_count; i++) {
        const struct life *life = &making->lives->lives[i];
        if (life->site == seen || !conn_of(making, life, &of) || of != group)
            continue;
        seen = life->site; /* most are opened at one place */
        if (hands_out(making, queue, stack_of(making, making->lives->sites[seen].stack)))
            return true;
    }
    return false;
}

static double span(const struct making *making, uint64_t ticks)
{
    return making->lives->source.span(making->lives->source.data, ticks);
}

static void add_queue(struct told_queue *told, const struct statement_queue *queue)
{
    if (!told->worst || queue->ticks > told->worst->ticks)
        told->worst = queue;
    if (told->times == 0 || queue->first < told->first)
        told->first = queue->first;
    if (queue->last > told->last)
        told->last = queue->last;
    if (queue->longest > told->longest)
        told->longest = queue->longest;
    told->times += queue->times;
    told->ticks += queue->ticks;
}

/* The connections that were there when threads waited last. */
static void count_connections(const struct making *making, struct told_queue *told)
{
    const struct lives *lives = making->lives;
    uint32_t group;
    for (size_t i = 0; i < lives->life_count; i++) {
        const struct life *life = &lives->lives[i];
        const struct statement_conn *conn = conn_of(making, life, &group);
        uint64_t end = life_open_at_tc(life) ? lives->tc : life->death;
        if (!conn || group != told->group || life->birth > told->last || end < told->last)
            continue;
        double from = report_seconds(lives, life->birth);
        told->from_s = told->connections++ == 0 || from < told->from_s ? from : told->from_s;
        told->kept_s += span(making, end - life->birth);
        told->used_s += span(making, conn->used);
    }
}

static void add_fact(struct report_finding *finding, const char *name, double value, bool count)
{
    finding->facts[finding->fact_count++] = (struct fact){name, value, count, false};
}

static const char *peer_of(const struct making *making, uint32_t group)
{
    const struct lives *lives = making->lives;
    uint32_t of;
    for (size_t i = 0; i < lives->life_count; i++)
        if (conn_of(making, &lives->lives[i], &of) && of == group && lives->lives[i].definition)
            return lives->source.endpoint(lives->source.data, lives->lives[i].definition);
    return NULL;
}

static int say(const struct making *making, const struct told_queue *told, uint32_t pid)
{
    struct pool_judgement judgement;
    struct report_finding finding;
    size_t index;
    struct pool_queue queue = {told->times, span(making, told->ticks), report_seconds(making->lives, making->lives->tc) - told->from_s};
    if (!pool_judge_queue(&queue, &judgement))
        return 0;
    int result = report_place_at(making->report, making->lives, told->worst->stack, STRAY_PGCONN, told->first, told->last,
                                 making->stacks, &finding);
    if (result < 0)
        return result;
    finding.verdict = VERDICT_POOL_SATURATED;
    finding.severity = judgement.severity;
    finding.confidence = judgement.confidence;
    finding.peer = report_keep(making->report, peer_of(making, told->group));
    finding.count = told->times;
    add_fact(&finding, "pooled_connections", told->connections, true);
    add_fact(&finding, "seconds", queue.waited_s, false);
    add_fact(&finding, "longest_s", span(making, told->longest), false);
    add_fact(&finding, "share_in_use", told->kept_s > 0 ? told->used_s / told->kept_s : 0, false);
    return report_add_finding(making->report, &finding, &pid, 1, &index);
}

/* Of each pool its queues come together; those done with are marked. */
static int say_pool(const struct making *making, size_t first, bool *done, uint32_t pid)
{
    const struct statements *statements = &making->lives->statements;
    struct told_queue told = {.group = statements_group(statements, statements->queues[first].conn)};
    for (size_t i = first; i < statements->queue_count; i++) {
        const struct statement_queue *queue = &statements->queues[i];
        if (done[i] || statements_group(statements, queue->conn) != told.group)
            continue;
        done[i] = true;
        if (is_for_pool(making, queue))
            add_queue(&told, queue);
    }
    if (told.times == 0)
        return 0;
    count_connections(making, &told);
    return say(making, &told, pid);
}

int report_add_queues(struct report *report, const struct lives *lives, const struct report_stacks *stacks, uint32_t pid)
{
    const struct making making = {report, lives, stacks};
    size_t count = lives->statements.queue_count;
    bool *done = calloc(count + 1, sizeof(*done));
    int result = done ? 0 : -ENOMEM;
    for (size_t i = 0; i < count && result == 0; i++)
        if (!done[i])
            result = say_pool(&making, i, done, pid);
    free(done);
    return result;
}
