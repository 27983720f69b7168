/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transactions of libpq's connections: how long they last, and the silences in them. */
#include "lives/sessions.h"

#define IDLE_SECONDS 1.0

/* Of libpq's enumeration PGTransactionStatusType. */
enum { TRANSACTION_ACTIVE = 1, TRANSACTION_OPEN = 2, TRANSACTION_FAILED = 3 };

static int idle_row(struct statements *statements, uint32_t stack, struct statement_idle **ret_idle)
{
    uint32_t row;
    bool new;
    int result = row_of(&statements->idle_map, stack, &statements->idles, &statements->idle_room, &statements->idle_count,
                        sizeof(*statements->idles), &row, &new);
    if (result < 0)
        return result;
    *ret_idle = &statements->idles[row];
    if (new)
        **ret_idle = (struct statement_idle){.stack = stack, .last_use = STATEMENTS_NONE};
    return 0;
}

int transaction_silent(struct statements *statements, uint32_t conn, uint64_t time, bool left)
{
    struct session *session = session_of(statements, conn);
    uint64_t since = session->last_end > session->begun ? session->last_end : session->begun;
    if (session->begun == 0 || session->last_end == 0 || time <= since || statements_span(statements, time - since) < IDLE_SECONDS)
        return 0;
    struct statement_idle *idle;
    int result = idle_row(statements, session->begun_stack, &idle);
    if (result < 0)
        return result;
    uint64_t ticks = time - since;
    session->last_end = time;
    if (idle->times++ == 0)
        idle->first = since;
    idle->last = since;
    idle->ticks += ticks;
    idle->connections += left;
    if (ticks > idle->longest) {
        idle->longest = ticks;
        idle->last_use = statements->conns[conn].last_use;
        idle->failed = statements->conns[conn].status == TRANSACTION_FAILED;
    }
    return 0;
}

void conn_in_use(struct statements *statements, uint32_t conn, uint64_t from, uint64_t to)
{
    struct session *session = session_of(statements, conn);
    if (from < session->used_until)
        from = session->used_until;
    if (to <= from)
        return;
    statements->conns[conn].used += to - from;
    session->used_until = to;
}

void transaction_ended(struct statements *statements, uint32_t conn, uint64_t time)
{
    struct session *session = session_of(statements, conn);
    statements->conns[conn].in_transaction += time - session->begun;
    statements->conns[conn].transactions++;
    conn_in_use(statements, conn, session->begun, time);
    session->begun = 0;
}

void transaction_seen(struct statements *statements, uint32_t conn, uint8_t status, uint64_t sent, uint32_t stack, uint64_t time)
{
    struct session *session = session_of(statements, conn);
    struct statement_conn *about = &statements->conns[conn];
    if (status == TRANSACTION_ACTIVE)
        return;
    bool inside = status == TRANSACTION_OPEN || status == TRANSACTION_FAILED;
    about->status = status;
    if (inside && session->begun == 0) {
        session_end_run(statements, session);
        session->begun = sent;
        session->begun_stack = stack;
    } else if (!inside && session->begun != 0) {
        session_end_run(statements, session);
        transaction_ended(statements, conn, time);
        session->read_count = 0;
    }
}
