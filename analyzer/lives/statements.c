/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lives/statements.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "lives/internal.h"
#include "lives/sessions.h"

#define IDLE_SECONDS    1.0
#define BLOCKED_SECONDS 0.05
#define LOOP_WAITS      3u
#define BUCKET_FIRST    1e-6

/* Of libpq's enumerations. */
enum { TRANSACTION_IDLE = 0, TRANSACTION_ACTIVE = 1, TRANSACTION_OPEN = 2, TRANSACTION_FAILED = 3 };
enum { RESULT_TUPLES = 2, RESULT_FATAL = 7, RESULT_PIPELINE_SYNC = 10, RESULT_PIPELINE_ABORTED = 11 };

double duration_of_bucket(unsigned bucket)
{
    return bucket == 0 ? 0 : BUCKET_FIRST * exp2((bucket - 1) / 4.0);
}

static unsigned bucket_of_duration(double seconds)
{
    if (seconds < BUCKET_FIRST)
        return 0;
    unsigned bucket = 1 + (unsigned)(4 * log2(seconds / BUCKET_FIRST));
    return bucket < DURATION_BUCKETS ? bucket : DURATION_BUCKETS - 1;
}

/* The middle of the bucket that holds it. */
double durations_quantile(const uint64_t *durations, double share)
{
    uint64_t total = 0, sum = 0;
    for (unsigned i = 0; i < DURATION_BUCKETS; i++)
        total += durations[i];
    for (unsigned i = 0; i < DURATION_BUCKETS && total > 0; i++) {
        sum += durations[i];
        if ((double)sum >= share * (double)total)
            return duration_of_bucket(i) * exp2(0.125);
    }
    return 0;
}

static double span_of(const struct statements *statements, uint64_t ticks)
{
    return statements->source.span(statements->source.data, ticks);
}

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
    statements->sessions[conn->session].next_free = statements->free_session;
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

static struct session *session_of(const struct statements *statements, uint32_t conn)
{
    return &statements->sessions[statements->conns[conn].session];
}

/* ---- silences in transactions ---- */

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

/* The connection was silent from the end of its last call to `time`, when the next one began; `left`: and nothing came after. */
static int silent_until(struct statements *statements, uint32_t conn, uint64_t time, bool left)
{
    struct session *session = session_of(statements, conn);
    uint64_t since = session->last_end > session->begun ? session->last_end : session->begun;
    if (session->begun == 0 || session->last_end == 0 || time <= since || span_of(statements, time - since) < IDLE_SECONDS)
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

/* From `from` to `to` somebody had use of the connection. */
static void in_use(struct statements *statements, uint32_t conn, uint64_t from, uint64_t to)
{
    struct session *session = session_of(statements, conn);
    if (from < session->used_until)
        from = session->used_until;
    if (to <= from)
        return;
    statements->conns[conn].used += to - from;
    session->used_until = to;
}

/* The transaction under way is over. */
static void transaction_ended(struct statements *statements, uint32_t conn, uint64_t time)
{
    struct session *session = session_of(statements, conn);
    statements->conns[conn].in_transaction += time - session->begun;
    statements->conns[conn].transactions++;
    in_use(statements, conn, session->begun, time);
    session->begun = 0;
}

/* What a call left the connection in. */
static void transaction_seen(struct statements *statements, uint32_t conn, uint8_t status, uint64_t sent, uint32_t stack, uint64_t time)
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

/* ---- statements ---- */

/* Asked for once a stack. */
static int place_of(struct statements *statements, uint32_t stack, uint32_t *ret_place)
{
    const struct statements_source *source = &statements->source;
    *ret_place = stack;
    if (!source->place || map_get(&statements->place_map, stack, ret_place))
        return 0;
    *ret_place = source->place(source->data, stack);
    return map_put(&statements->place_map, stack, *ret_place);
}

static int use_row(struct statements *statements, const struct session_telling *telling, uint32_t *ret_row)
{
    bool new;
    const struct statements_source *source = &statements->source;
    uint32_t place;
    int result = place_of(statements, telling->stack, &place);
    if (result < 0)
        return result;
    result = row_of(&statements->use_map, key_of(telling->definition, place), &statements->uses,
                        &statements->use_room, &statements->use_count, sizeof(*statements->uses), ret_row, &new);
    if (result < 0 || !new)
        return result;
    struct statement_use *use = &statements->uses[*ret_row];
    *use = (struct statement_use){.definition = telling->definition, .stack = telling->stack, .hook = telling->hook,
                                  .first = telling->time, .overwrites_of = STATEMENTS_NONE, .conn = STATEMENTS_NONE};
    sql_words_read(source->text ? source->text(source->data, telling->definition) : NULL, &use->words);
    return 0;
}

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

static void remember_read(struct session *session, const struct session_telling *telling, const struct sql_words *words, uint32_t use)
{
    if (session->read_count == SESSION_READS)
        memmove(session->reads, session->reads + 1, --session->read_count * sizeof(*session->reads));
    session->reads[session->read_count++] = (struct session_read){telling->key, words->table, use};
}

static void look_for_read(const struct session *session, const struct session_telling *telling, struct statement_use *use)
{
    for (uint32_t i = 0; i < session->read_count; i++) {
        const struct session_read *read = &session->reads[i];
        if (read->key != telling->key || read->table != use->words.table)
            continue;
        use->overwrites++;
        use->overwrites_of = read->use;
        return;
    }
}

/* Reading a row and writing it again, with a value that was made of what was read, loses what others wrote meanwhile. */
static void follow_keys(struct statements *statements, struct session *session, const struct session_telling *telling, uint32_t row)
{
    struct statement_use *use = &statements->uses[row];
    if (telling->key == 0 || use->words.table == 0)
        return;
    if (use->words.selects && !use->words.locks)
        remember_read(session, telling, &use->words, row);
    else if (use->words.updates && use->words.constants)
        look_for_read(session, telling, use);
}

/* Of a text that is sent from several places, each connection counts at the first. */
static int count_connection(struct statements *statements, uint32_t row, uint32_t conn)
{
    uint64_t definition = statements->uses[row].definition, key = key_of(definition ? definition : ~(uint64_t)row, conn);
    uint32_t known;
    if (map_get(&statements->pair_map, key, &known))
        return 0;
    statements->uses[row].connections++;
    return map_put(&statements->pair_map, key, 1);
}

uint32_t statements_group(const struct statements *statements, uint32_t conn)
{
    while (statements->conns[conn].group != conn)
        conn = statements->conns[conn].group;
    return conn;
}

/* Whoever sends the same over one connection and then another got both from the same pool. The older one stands for them, and
 * what was on the way to it is led there at once, so that ways stay short. */
static void join_group(struct statements *statements, uint32_t conn, uint32_t other)
{
    uint32_t a = statements_group(statements, conn), b = statements_group(statements, other), root = a < b ? a : b;
    statements->conns[a].group = statements->conns[b].group = root;
    statements->conns[conn].group = statements->conns[other].group = root;
}

static int count_call(struct statements *statements, uint32_t conn, const struct session_telling *telling, uint32_t *ret_row)
{
    int result = use_row(statements, telling, ret_row);
    if (result < 0)
        return result;
    struct statement_use *use = &statements->uses[*ret_row];
    use->calls++;
    use->last = telling->time;
    if (telling->length > use->length_most)
        use->length_most = telling->length;
    if (telling->members > use->members_most)
        use->members_most = telling->members;
    if (!use->words.control) {
        statements->conns[conn].last_use = *ret_row;
        statements->conns[conn].statements++;
        if (use->conn != STATEMENTS_NONE && use->conn != conn)
            join_group(statements, conn, use->conn);
        use->conn = conn;
    }
    follow_keys(statements, session_of(statements, conn), telling, *ret_row);
    return count_connection(statements, *ret_row, conn);
}

static void push_pending(struct session *session, uint32_t use, uint64_t sent, uint32_t name)
{
    if (session->pending_count < SESSION_PENDING)
        session->pending[(session->pending_first + session->pending_count++) % SESSION_PENDING] =
            (struct session_pending){use, sent, name};
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
        int result = place_of(statements, telling->stack, &place);
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
        result = count_call(statements, conn, &telling, &row);
    if (result == 0)
        push_pending(session_of(statements, conn), row, telling.time, name);
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
        result = silent_until(statements, conn, event->time, false);
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
        in_use(statements, conn, end - ticks, end);
    if (pending->use == STATEMENTS_NONE)
        return;
    struct statement_use *use = &statements->uses[pending->use];
    use->ticks += ticks;
    use->durations[bucket_of_duration(span_of(statements, ticks))]++;
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
    session->pending_first = (session->pending_first + 1) % SESSION_PENDING;
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
    struct session_pending head = {STATEMENTS_NONE, event->time, STATEMENTS_NONE};
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
        result = silent_until(statements, conn, event->time - event->value, false);
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
        result = silent_until(statements, conn, time, true);
    if (result == 0)
        result = prepared_conn_ended(statements, conn, time);
    struct session *session = session_of(statements, conn);
    session_end_run(statements, session);
    if (session->begun != 0 && time > session->begun)
        transaction_ended(statements, conn, time);
    session_give_back(statements, &statements->conns[conn]);
    return result;
}

/* ---- event loops ---- */

static int waited(struct statements *statements, const struct stray_event *event, uint32_t thread)
{
    uint32_t before = 0;
    map_get(&statements->loop_map, thread, &before);
    uint64_t sum = before + event->value;
    return map_put(&statements->loop_map, thread, sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX);
}

static bool is_loop(const struct statements *statements, uint32_t thread)
{
    uint32_t waits_seen = 0;
    return map_get(&statements->loop_map, thread, &waits_seen) && waits_seen >= LOOP_WAITS;
}

static int kept(struct statements *statements, uint16_t hook, uint32_t stack, uint64_t time, uint64_t ticks)
{
    uint32_t row;
    bool new;
    if (span_of(statements, ticks) < BLOCKED_SECONDS)
        return 0;
    int result = row_of(&statements->blocked_map, key_of(stack, hook), &statements->blocked, &statements->blocked_room,
                        &statements->blocked_count, sizeof(*statements->blocked), &row, &new);
    if (result < 0)
        return result;
    struct statement_blocked *blocked = &statements->blocked[row];
    if (new)
        *blocked = (struct statement_blocked){.stack = stack, .hook = hook, .first = time};
    blocked->calls++;
    blocked->ticks += ticks;
    blocked->last = time;
    if (ticks > blocked->longest)
        blocked->longest = ticks;
    return 0;
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
        return is_loop(statements, thread)
                   ? kept(statements, event->hook, session_of(statements, conn)->open_stack, event->time, event->value)
                   : 0;
    case STRAY_USE:
        result = called(statements, conn, event, thread);
        if (result == 0 && is_loop(statements, thread))
            result = kept(statements, event->hook, event->stack, event->time, event->value);
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

int statements_feed(struct statements *statements, const struct stray_event *event, uint32_t thread)
{
    if (statements->begin == 0)
        statements->begin = event->time;
    if (event->action == STRAY_WAITED)
        return waited(statements, event, thread);
    if (event->action == STRAY_AWAITED)
        return queue_awaited(statements, event, thread);
    if (event->action == STRAY_BLOCKED)
        return kept(statements, event->hook, event->stack, event->time, event->value);
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
    map_clear(&statements->held_map);
    map_clear(&statements->later_map);
    map_clear(&statements->prepared_map);
    map_clear(&statements->prepared_place_map);
    map_clear(&statements->queue_map);
    map_clear(&statements->await_map);
    *statements = (struct statements){0};
}
