/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the statements of one process came to, added to the rows of their fingerprints. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "views/likeness.h"
#include "views/report_steps.h"

/* A statement whose text is not kept is known by its hash alone, which has no text to be parsed. */
static bool name_statement(const char *text, uint64_t hash, char ret_fingerprint[FINGERPRINT_SIZE])
{
    if (text && text[0])
        return fingerprint_of(text, ret_fingerprint);
    char unknown[32];
    snprintf(unknown, sizeof(unknown), "#%llu", (unsigned long long)hash);
    fingerprint_of(unknown, ret_fingerprint);
    return false;
}

/* Of a statement that was not met before. */
static int add_row(struct report *report, const struct lives *lives, uint64_t definition, uint64_t hash, uint32_t *ret_row)
{
    const struct lives_source *source = &lives->source;
    const char *text = source->statement && definition ? source->statement(source->data, definition) : NULL;
    struct report_statement row = {.first_s = -1};
    row.parsed = name_statement(text, hash, row.fingerprint);
    for (*ret_row = 0; *ret_row < report->statement_count; ++*ret_row)
        if (strcmp(report->statements[*ret_row].fingerprint, row.fingerprint) == 0)
            return 0;
    row.text = report_statement(report, lives, definition);
    struct report_statement *added = report_append(&report->statements, &report->statement_count, sizeof(*added));
    if (!added)
        return -ENOMEM;
    *added = row;
    return 0;
}

/* Each text is parsed once, however many places and processes send it. */
static struct report_statement *row_of(struct report *report, const struct lives *lives, uint64_t definition)
{
    const struct lives_source *source = &lives->source;
    uint64_t hash = source->statement_hash && definition ? source->statement_hash(source->data, definition) : definition;
    uint32_t row;
    if (!map_get(&report->statement_rows, hash, &row) &&
        (add_row(report, lives, definition, hash, &row) < 0 || map_put(&report->statement_rows, hash, row) < 0))
        return NULL;
    return &report->statements[row];
}

static int add_sender(struct report *report, struct report_statement *row, const struct stack *stack, uint64_t calls)
{
    bool known = stack->count > 0;
    struct report_frame frame = {0};
    if (known)
        frame = report_copy_frame(report, &stack->frames[stack->blame]);
    for (size_t i = 0; i < row->sender_count; i++)
        if (row->senders[i].known == known && report_frame_order(&row->senders[i].frame, &frame) == 0) {
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

void report_statement_clear(struct report_statement *row)
{
    free(row->senders);
    free(row->peers);
    row->senders = NULL;
    row->peers = NULL;
}

/* The peer of each connection that statements were sent on; to be freed. NULL without memory. */
static const char **find_peers(const struct lives *lives)
{
    const struct statements *statements = &lives->statements;
    const char **peers = calloc(statements->conn_count + 1, sizeof(*peers));
    for (size_t i = 0; peers && i < lives->life_count; i++) {
        const struct life *life = &lives->lives[i];
        const struct statement_conn *conn =
            life->resource == STRAY_PGCONN ? statements_conn(statements, life->handle, life->birth) : NULL;
        if (conn)
            peers[conn - statements->conns] = report_conn_peer(lives, life);
    }
    return peers;
}

static int add_peer(struct report *report, struct report_statement *row, const char *peer)
{
    for (size_t i = 0; peer && i < row->peer_count; i++)
        if (strcmp(row->peers[i], peer) == 0)
            return 0;
    if (!peer)
        return 0;
    const char *kept = report_keep(report, peer);
    const char **added = kept ? report_append(&row->peers, &row->peer_count, sizeof(*added)) : NULL;
    if (!added)
        return -ENOMEM;
    *added = kept;
    return 0;
}

/* Of what begins and ends transactions it is not known on which of the process's connections it was sent: so on any. */
static int add_peers(struct report *report, struct report_statement *row, const struct statements *statements,
                     const struct statement_use *use, const char *const *peers)
{
    if (use->conn != STATEMENTS_NONE)
        return add_peer(report, row, peers[use->conn]);
    int result = 0;
    for (size_t i = 0; i < statements->conn_count && result == 0; i++)
        result = add_peer(report, row, peers[i]);
    return result;
}

static int add_use(struct report *report, const struct report_process *process, const struct lives *lives,
                   const struct report_stacks *stacks, const struct statement_use *use, const char *const *peers)
{
    struct report_statement *row = row_of(report, lives, use->definition);
    if (!row)
        return -ENOMEM;
    add_figures(row, lives, use);
    add_times(row, process, report_seconds(lives, use->first), report_seconds(lives, use->last));
    int result = add_peers(report, row, &lives->statements, use, peers);
    return result < 0 ? result : add_sender(report, row, stacks->stack(stacks->data, use->stack), use->calls);
}

int report_add_rows(struct report *report, const struct report_process *process, const struct lives *lives,
                    const struct report_stacks *stacks)
{
    const struct statements *statements = &lives->statements;
    const char **peers = find_peers(lives);
    int result = peers ? 0 : -ENOMEM;
    for (size_t i = 0; i < statements->use_count && result == 0; i++)
        result = add_use(report, process, lives, stacks, &statements->uses[i], peers);
    free(peers);
    return result;
}
