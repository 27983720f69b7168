/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/statements.h"

#include <stdlib.h>

#include "hash.h"
#include "lives/internal.h"
#include "lives/sessions.h"

/* Of libpq's enumeration ExecStatusType. */
enum { RESULT_TUPLES = 2, RESULT_FATAL = 7, RESULT_PIPELINE_SYNC = 10, RESULT_PIPELINE_ABORTED = 11 };

uint64_t key_of(uint64_t a, uint64_t b)
{
    uint64_t both[] = {a, b};
    return hash_bytes(HASH_BEGIN, both, sizeof(both));
}

int row_of(struct map *map, uint64_t key, void *array, size_t *room, size_t *count, size_t size, uint32_t *ret_row, bool *ret_new)
{
    *ret_new = false;
    if (map_get(map, key, ret_row))
        return 0;
    int result = room_for(array, room, *count + 1, size);
    if (result == 0)
        result = map_put(map, key, (uint32_t)*count);
    if (result == 0) {
        *ret_row = (uint32_t)(*count)++;
        *ret_new = true;
    }
    return result;
}

/* ---- connections ---- */

static int session_take(struct statements *statements, uint32_t *ret_session)
{
    if (statements->free_session) {
        *ret_session = statements->free_session - 1;
        statements->free_session = statements->sessions[*ret_session].next_free;
    } else {
        int result = room_for(&statements->sessions, &statements->session_room, statements->session_count + 1,
                              sizeof(*statements->sessions));
        if (result < 0)
            return result;
        *ret_session = (uint32_t)statements->session_count++;
    }
    statements->sessions[*ret_session] = (struct session){0};
    return 0;
}

static void session_give_back(struct statements *statements, struct statement_conn *conn)
{
    struct session *session = &statements->sessions[conn->session];
    free(session->pending);
    session->pending = NULL;
    session->next_free = statements->free_session;
    statements->free_session = conn->session + 1;
    conn->session = STATEMENTS_NONE;
}

static int conn_add(struct statements *statements, uint64_t handle, uint32_t *ret_row)
{
    uint32_t session = STATEMENTS_NONE;
    int result = room_for(&statements->conns, &statements->conn_room, statements->conn_count + 1, sizeof(*statements->conns));
    if (result == 0)
        result = session_take(statements, &session);
    if (result < 0)
        return result;
    statements->conns[statements->conn_count] =
        (struct statement_conn){.handle = handle, .last_use = STATEMENTS_NONE, .session = session,
                                 .group = (uint32_t)statements->conn_count};
    *ret_row = (uint32_t)statements->conn_count++;
    return map_put(&statements->conn_map, handle, *ret_row);
}

static int conn_of(struct statements *statements, uint64_t handle, uint32_t *ret_row)
{
    if (map_get(&statements->conn_map, handle, ret_row) && !statements->conns[*ret_row].closed)
        return 0;
    return conn_add(statements, handle, ret_row);
}

/* ---- statements ---- */

/* Which are about a prepared statement, and execute nothing. */
static bool executes(uint16_t hook)
{
    switch (hook) {
    case STRAY_HOOK_PQprepare:
    case STRAY_HOOK_PQsendPrepare:
    case STRAY_HOOK_PQdescribePrepared:
    case STRAY_HOOK_PQdescribePortal:
    case STRAY_HOOK_PQsendDescribePrepared:
    case STRAY_HOOK_PQsendDescribePortal:
    case STRAY_HOOK_PQclosePrepared:
    case STRAY_HOOK_PQclosePortal:
    case STRAY_HOOK_PQsendClosePrepared:
    case STRAY_HOOK_PQsendClosePortal:
        return false;
    default:
        return true;
    }
}

/* Whoever sends does not wait: the answer comes by PQgetResult. */
static bool waits(uint16_t hook)
{
    switch (hook) {
    case STRAY_HOOK_PQexec:
    case STRAY_HOOK_PQexecParams:
    case STRAY_HOOK_PQexecPrepared:
    case STRAY_HOOK_PQprepare:
    case STRAY_HOOK_PQdescribePrepared:
    case STRAY_HOOK_PQdescribePortal:
    case STRAY_HOOK_PQclosePrepared:
    case STRAY_HOOK_PQclosePortal:
        return true;
    default:
        return false;
    }
}

static int pending_grow(struct session *session)
{
    uint32_t room = session->pending_room ? 2 * session->pending_room : 1;
    struct session_pending *grown = malloc(room * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    for (uint32_t i = 0; i < session->pending_count; i++)
        grown[i] = session->pending[(session->pending_first + i) % session->pending_room];
    free(session->pending);
    session->pending = grown;
    session->pending_first = 0;
    session->pending_room = room;
    return 0;
}

static int push_pending(struct session *session, uint32_t use, uint64_t sent, uint32_t name)
{
    if (session->pending_count == SESSION_PENDING)
        return 0;
    if (session->pending_count == session->pending_room && pending_grow(session) < 0)
        return -ENOMEM;
    session->pending[(session->pending_first + session->pending_count++) % session->pending_room] =
        (struct session_pending){.sent = sent, .use = use, .name = name};
    return 0;
}

/* What is known of a text even where it is hidden. */
static uint32_t flags_of(const struct statements *statements, uint64_t definition)
{
    return statements->source.flags && definition ? statements->source.flags(statements->source.data, definition) : 0;
}

static bool prepares(uint16_t hook, uint32_t flags)
{
    return hook == STRAY_HOOK_PQprepare || hook == STRAY_HOOK_PQsendPrepare || flags & STRAY_STATEMENT_PREPARES;
}

static bool closes(uint16_t hook, uint32_t flags)
{
    return hook == STRAY_HOOK_PQclosePrepared || hook == STRAY_HOOK_PQsendClosePrepared || flags & STRAY_STATEMENT_DEALLOCATES;
}

/* Whatever is not known by its text is known by the name that it was prepared by. */
static int resolve(struct statements *statements, uint32_t conn, struct session_telling *telling, uint32_t flags)
{
    uint64_t name = key_of(statements->conns[conn].handle, telling->name);
    uint32_t definition;
    if (telling->name == 0)
        return 0;
    if (prepares(telling->hook, flags))
        return telling->definition ? map_put(&statements->name_map, name, (uint32_t)telling->definition) : 0;
    if ((telling->definition == 0 || flags & STRAY_STATEMENT_EXECUTES) && map_get(&statements->name_map, name, &definition))
        telling->definition = definition;
    return 0;
}

/* Which names the connection has. */
static int follow_names(struct statements *statements, uint32_t conn, const struct session_telling *telling, uint32_t flags,
                        uint32_t *ret_name)
{
    uint32_t place;
    *ret_name = STATEMENTS_NONE;
    if (prepares(telling->hook, flags)) {
        int result = use_place(statements, telling->stack, &place);
        return result == 0 ? prepared_made(statements, conn, telling, place, ret_name) : result;
    }
    if (!closes(telling->hook, flags))
        prepared_used(statements, conn, telling->name, telling->time);
    else if (telling->name)
        prepared_closed(statements, conn, telling->name);
    else
        prepared_closed_all(statements, conn, true);
    return 0;
}

/* All that is told of a statement has been told. */
static int tell_end(struct statements *statements, uint32_t conn)
{
    struct session *session = session_of(statements, conn);
    struct session_telling telling = session->telling;
    if (!telling.under_way)
        return 0;
    session->telling.under_way = false;
    uint32_t row = STATEMENTS_NONE, name, flags = flags_of(statements, telling.definition);
    int result = resolve(statements, conn, &telling, flags);
    if (result == 0)
        result = follow_names(statements, conn, &telling, flags, &name);
    if (result == 0 && executes(telling.hook) && !prepares(telling.hook, flags))
        result = use_called(statements, conn, &telling, &row);
    if (result == 0)
        result = push_pending(session_of(statements, conn), row, telling.time, name);
    return result;
}

static int tell(struct statements *statements, uint32_t conn, const struct stray_event *event, uint32_t thread)
{
    struct session_telling *telling = &session_of(statements, conn)->telling;
    switch (event->action) {
    case STRAY_NAMED:
        telling->name = event->value;
        return 0;
    case STRAY_MEMBERS:
        telling->members = event->value;
        return 0;
    case STRAY_KEY:
        telling->key = event->value;
        return 0;
    default:
        break;
    }
    int result = tell_end(statements, conn);
    if (result == 0)
        result = queue_left(statements, conn, event->stack, thread);
    if (result == 0)
        result = transaction_silent(statements, conn, event->time, false);
    result_left(statements, event->stack, thread, event->time);
    telling = &session_of(statements, conn)->telling;
    *telling = (struct session_telling){.under_way = true, .time = event->time, .definition = (uint32_t)event->value,
                                        .length = event->value >> 32, .stack = event->stack, .hook = event->hook};
    return result;
}

/* ---- answers ---- */

static void timed(struct statements *statements, uint32_t conn, const struct session_pending *pending, uint64_t end, uint64_t ticks)
{
    struct session *session = session_of(statements, conn);
    uint64_t rows = session->answer_rows;
    session->answer_rows = 0;
    statements->conns[conn].busy += ticks;
    if (session->begun == 0) /* else the transaction will be counted */
        conn_in_use(statements, conn, end - ticks, end);
    if (pending->use == STATEMENTS_NONE)
        return;
    struct statement_use *use = &statements->uses[pending->use];
    use->ticks += ticks;
    use->durations[duration_bucket(statements_span(statements, ticks))]++;
    if (ticks > use->longest)
        use->longest = ticks;
    if (!use->words.control)
        session_called(statements, session, pending->use, pending->sent, end, ticks, rows);
}

static bool pop_pending(struct session *session, struct session_pending *ret_pending)
{
    if (session->pending_count == 0)
        return false;
    *ret_pending = session->pending[session->pending_first];
    session->pending_first = (session->pending_first + 1) % session->pending_room;
    session->pending_count--;
    return true;
}

static bool is_failure(uint64_t value)
{
    unsigned status = (unsigned)(value >> STRAY_RESULT_STATUS);
    return status == RESULT_FATAL || status == RESULT_PIPELINE_ABORTED;
}

/* Returns the rows. */
static uint64_t count_result(struct statement_use *use, uint64_t value)
{
    unsigned status = (unsigned)(value >> STRAY_RESULT_STATUS);
    uint64_t rows = value & ((UINT64_C(1) << STRAY_RESULT_ROWS_BITS) - 1);
    uint64_t bytes = (value >> STRAY_RESULT_ROWS_BITS & ((UINT64_C(1) << STRAY_RESULT_BYTES_BITS) - 1)) * STRAY_RESULT_BYTES_UNIT;
    use->results++;
    use->bytes += bytes;
    if (bytes > use->bytes_most)
        use->bytes_most = bytes;
    if (is_failure(value)) {
        use->errors++;
        return 0;
    }
    use->rows += rows;
    use->unbounded += status == RESULT_TUPLES && (rows >= STATEMENT_ROWS_MANY || bytes >= STATEMENT_BYTES_MANY);
    if (rows > use->rows_most)
        use->rows_most = rows;
    return rows;
}

static int answered(struct statements *statements, uint32_t conn, const struct stray_event *event, uint32_t thread)
{
    int result = tell_end(statements, conn);
    struct session *session = session_of(statements, conn);
    struct session_pending head = {.sent = event->time, .use = STATEMENTS_NONE, .name = STATEMENTS_NONE};
    bool pending = session->pending_count > 0, over = event->value >> STRAY_RESULT_STATUS == STRAY_RESULT_NONE;
    if (pending)
        head = session->pending[session->pending_first];
    statements->last_result_use = head.use;
    statements->last_result_thread = thread;
    uint32_t stack = head.use == STATEMENTS_NONE ? 0 : statements->uses[head.use].stack;
    if (!over && head.use != STATEMENTS_NONE && event->value >> STRAY_RESULT_STATUS != RESULT_PIPELINE_SYNC)
        session->answer_rows += count_result(&statements->uses[head.use], event->value);
    if (head.name != STATEMENTS_NONE && is_failure(event->value))
        prepared_failed(statements, conn, head.name);
    if (over && pop_pending(session, &head))
        timed(statements, conn, &head, event->time, event->time - head.sent);
    transaction_seen(statements, conn, event->value >> STRAY_RESULT_TRANSACTION & 15, head.sent, stack, event->time);
    return result;
}

static int called(struct statements *statements, uint32_t conn, const struct stray_event *event, uint32_t thread)
{
    int result = tell_end(statements, conn);
    struct session *session = session_of(statements, conn);
    struct session_pending head;
    if (result == 0 && event->time > event->value) /* it need not send anything: some drivers look for answers that are left */
        result = transaction_silent(statements, conn, event->time - event->value, false);
    if (event->hook == STRAY_HOOK_PQreset || event->hook == STRAY_HOOK_PQresetStart)
        prepared_closed_all(statements, conn, false);
    if (waits(event->hook) && pop_pending(session, &head))
        timed(statements, conn, &head, event->time, event->value);
    session->last_end = event->time;
    session->last_thread = thread;
    return result;
}

static int conn_ended(struct statements *statements, uint32_t conn, uint64_t time)
{
    int result = tell_end(statements, conn);
    if (result == 0)
        result = transaction_silent(statements, conn, time, true);
    if (result == 0)
        result = prepared_conn_ended(statements, conn, time);
    struct session *session = session_of(statements, conn);
    session_end_run(statements, session);
    if (session->begun != 0 && time > session->begun)
        transaction_ended(statements, conn, time);
    session_give_back(statements, &statements->conns[conn]);
    return result;
}

/* ---- the pass ---- */

static int pgconn_fed(struct statements *statements, const struct stray_event *event, uint32_t thread)
{
    uint32_t conn;
    int result = event->action == STRAY_OPEN ? conn_add(statements, event->handle, &conn)
                                             : conn_of(statements, event->handle, &conn);
    if (result < 0)
        return result;
    switch (event->action) {
    case STRAY_OPEN:
        statements->conns[conn].birth = event->time;
        session_of(statements, conn)->open_stack = event->stack;
        return map_put(&statements->birth_map, key_of(event->handle, event->time), conn);
    case STRAY_STATEMENT:
    case STRAY_NAMED:
    case STRAY_MEMBERS:
    case STRAY_KEY:
        return tell(statements, conn, event, thread);
    case STRAY_RESULT:
        return answered(statements, conn, event, thread);
    case STRAY_DURATION:
        result = queue_connected(statements, event, thread);
        if (result < 0)
            return result;
        return runs_event_loop(statements, thread)
                   ? event_loop_kept(statements, event, thread, session_of(statements, conn)->open_stack)
                   : 0;
    case STRAY_USE:
        result = called(statements, conn, event, thread);
        if (result == 0 && runs_event_loop(statements, thread))
            result = event_loop_kept(statements, event, thread, event->stack);
        return result;
    case STRAY_CLOSE:
        result = conn_ended(statements, conn, event->time);
        statements->conns[conn].closed = true;
        return result;
    default:
        return 0;
    }
}

void statements_open(const struct statements_source *source, struct statements *ret_statements)
{
    *ret_statements = (struct statements){.source = *source, .last_result_use = STATEMENTS_NONE};
}

void statements_requested(struct statements *statements)
{
    statements->requests++;
}

int statements_feed(struct statements *statements, const struct stray_event *event, uint32_t thread)
{
    if (statements->begin == 0)
        statements->begin = event->time;
    if (event->action == STRAY_WAITED)
        return event_loop_waited(statements, event, thread);
    if (event->action == STRAY_AWAITED)
        return queue_awaited(statements, event, thread);
    if (event->action == STRAY_BLOCKED)
        return event_loop_kept(statements, event, thread, event->stack);
    if (event->resource == STRAY_PGRESULT)
        return result_fed(statements, event, thread);
    return event->resource == STRAY_PGCONN && event->handle ? pgconn_fed(statements, event, thread) : 0;
}

const struct statement_conn *statements_conn(const struct statements *statements, uint64_t handle, uint64_t birth)
{
    uint32_t conn;
    return map_get(&statements->birth_map, key_of(handle, birth), &conn) ? &statements->conns[conn] : NULL;
}

int statements_finish(struct statements *statements, uint64_t tc)
{
    int result = 0;
    for (uint32_t i = 0; i < statements->conn_count && result == 0; i++)
        if (!statements->conns[i].closed)
            result = conn_ended(statements, i, tc);
    prepared_finish(statements, tc);
    return result == 0 ? results_finish(statements, tc) : result;
}

void statements_close(struct statements *statements)
{
    free(statements->uses);
    free(statements->idles);
    free(statements->blocked);
    free(statements->queues);
    free(statements->awaits);
    free(statements->connecting);
    free(statements->held);
    free(statements->kept);
    free(statements->prepared);
    free(statements->names);
    free(statements->endings);
    free(statements->conns);
    for (size_t i = 0; i < statements->session_count; i++)
        free(statements->sessions[i].pending);
    free(statements->sessions);
    map_clear(&statements->birth_map);
    map_clear(&statements->place_map);
    map_clear(&statements->use_map);
    map_clear(&statements->idle_map);
    map_clear(&statements->blocked_map);
    map_clear(&statements->conn_map);
    map_clear(&statements->name_map);
    map_clear(&statements->pair_map);
    map_clear(&statements->loop_map);
    map_clear(&statements->epoll_map);
    map_clear(&statements->held_map);
    map_clear(&statements->later_map);
    map_clear(&statements->prepared_map);
    map_clear(&statements->prepared_place_map);
    map_clear(&statements->queue_map);
    map_clear(&statements->await_map);
    *statements = (struct statements){0};
}
