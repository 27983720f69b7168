/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "lives/sessions.h"

#define LOOP_MIN     5u
#define OTHERS_SHARE 0.2 /* of the calls between the first and the last one */
#define RUN_SECONDS  1.0
#define PORTION_ROWS 20u /* in the mean: a portion of rows, or a batch of them, and not one after the other */

static struct session_seen *seen_of(struct session_run *run, uint32_t use)
{
    for (uint32_t i = 0; i < run->count; i++)
        if (run->seen[i].use == use)
            return &run->seen[i];
    return NULL;
}

/* The one that was called least makes room. */
static struct session_seen *seen_new(struct session_run *run)
{
    if (run->count < SESSION_SEEN)
        return &run->seen[run->count++];
    struct session_seen *least = &run->seen[0];
    for (uint32_t i = 1; i < run->count; i++)
        if (run->seen[i].calls < least->calls)
            least = &run->seen[i];
    return least;
}

/* Between the calls came about as many requests: each of these makes one call or two, over a connection that they share. Of many that
 * are served at a time most make theirs over others: so those count as well. */
static bool is_one_a_request(const struct session_seen *seen)
{
    uint64_t calls = seen->everywhere_last - seen->everywhere + 1;
    return 2 * (seen->requests_last - seen->requests + 1) >= calls && seen->requests_last > seen->requests;
}

/* Many rows at a time, or sent ahead without waiting for the answer before: each for itself would do no better. */
static bool is_for_many(const struct statement_use *use, const struct session_seen *seen)
{
    bool portions = (use->words.bounded || use->words.batches) && seen->rows >= (uint64_t)PORTION_ROWS * seen->calls;
    return use->words.fetches || portions || 2 * seen->ahead > seen->calls;
}

static void add_loop(struct statement_use *use, const struct session_seen *seen, bool in_transaction)
{
    uint32_t span = seen->last - seen->first + 1, others = span - seen->calls;
    if (seen->calls < LOOP_MIN || is_for_many(use, seen) || others > OTHERS_SHARE * span ||
        (!in_transaction && is_one_a_request(seen)))
        return;
    struct statement_loops *loops = &use->loops;
    loops->runs++;
    loops->calls += seen->calls;
    loops->ticks += seen->ticks;
    if (seen->calls <= loops->longest)
        return;
    loops->longest = seen->calls;
    loops->longest_ticks = seen->end - seen->begin;
    loops->in_transaction = in_transaction;
}

void session_end_run(struct statements *statements, struct session *session)
{
    struct session_run *run = &session->run;
    for (uint32_t i = 0; i < run->count; i++)
        add_loop(&statements->uses[run->seen[i].use], &run->seen[i], run->in_transaction);
    *run = (struct session_run){0};
}

/* Outside a transaction a run is what begins within a second of its first call. */
static bool goes_on(const struct statements *statements, const struct session *session, uint64_t begin)
{
    const struct session_run *run = &session->run;
    bool in_transaction = session->begun != 0;
    if (run->begin == 0 || run->in_transaction != in_transaction)
        return false;
    return in_transaction || statements->source.span(statements->source.data, begin - run->begin) <= RUN_SECONDS;
}

void session_called(struct statements *statements, struct session *session, uint32_t use, uint64_t begin, uint64_t end, uint64_t ticks,
                    uint64_t rows)
{
    struct session_run *run = &session->run;
    if (!goes_on(statements, session, begin)) {
        session_end_run(statements, session);
        run->begin = begin;
        run->in_transaction = session->begun != 0;
    }
    struct session_seen *seen = seen_of(run, use);
    if (!seen) {
        seen = seen_new(run);
        *seen = (struct session_seen){.use = use, .first = run->position, .begin = begin, .requests = statements->requests,
                                       .everywhere = statements->uses[use].calls};
    }
    seen->calls++;
    seen->rows += rows;
    seen->ahead += begin < seen->end;
    seen->last = run->position++;
    seen->requests_last = statements->requests;
    seen->everywhere_last = statements->uses[use].calls;
    seen->end = end;
    seen->ticks += ticks;
}
