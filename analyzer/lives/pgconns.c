/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PGconns: every lifetime is kept, beside that of the connection it lies on. */
#include "lives/counting.h"

bool is_statement(unsigned hook)
{
    switch (hook) {
    case STRAY_HOOK_PQconnectPoll:
    case STRAY_HOOK_PQreset:
    case STRAY_HOOK_PQresetStart:
    case STRAY_HOOK_PQresetPoll:
    case STRAY_HOOK_PQgetResult:
    case STRAY_HOOK_PQmakeEmptyPGresult:
    case STRAY_HOOK_PQcopyResult:
    case STRAY_HOOK_PQrequestCancel:
    case STRAY_HOOK_PQgetCopyData:
    case STRAY_HOOK_PQputCopyData:
    case STRAY_HOOK_PQputCopyEnd:
    case STRAY_HOOK_PQping:
    case STRAY_HOOK_PQpingParams:
    case STRAY_HOOK_PQpipelineSync:
    case STRAY_HOOK_PQsendPipelineSync:
    case STRAY_HOOK_PQsendFlushRequest:
    case STRAY_HOOK_PQenterPipelineMode:
    case STRAY_HOOK_PQexitPipelineMode:
    case STRAY_HOOK_PQsetSingleRowMode:
    case STRAY_HOOK_PQsetChunkedRowsMode:
        return false;
    default:
        return true;
    }
}

static struct life *conn_life(struct lives *lives, uint64_t handle)
{
    uint32_t index;
    if (!map_get(&lives->conn_map, handle, &index) || index == LIVES_NONE)
        return NULL;
    return &lives->lives[index];
}

/* Calls on a PGconn talk to its server, the last one too. */
static void conn_moved(struct life *life, const struct stray_event *event)
{
    life->moved++;
    life->moved_last = event->time;
}

/* A PGconn that this process did not open: one that was opened before a fork, most likely. */
static int conn_foreign(struct lives *lives, const struct stray_event *event, uint32_t thread,
                        struct life **ret_conn)
{
    struct life *life;
    int result = life_add(lives, event, thread, &life);
    if (result < 0)
        return result;
    life->inherited = true;
    life->before = lives->before.attached;
    lives->before.open[STRAY_PGCONN] += life->before;
    *ret_conn = life;
    return map_put(&lives->conn_map, event->handle, (uint32_t)(life - lives->lives));
}

static void conn_end(struct lives *lives, const struct stray_event *event, enum life_end how)
{
    struct life *life = conn_life(lives, event->handle);
    lives->books[STRAY_PGCONN].unknown += how == LIFE_CLOSED && life->inherited && !life->before;
    before_end(lives, life);
    conn_moved(life, event);
    life_end(lives, life, how, event);
    if (life->partner != LIVES_NONE)
        lives->lives[life->partner].parting = true;
    map_put(&lives->conn_map, event->handle, LIVES_NONE); /* replaces: cannot fail */
}

static int conn_open(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    if (conn_life(lives, event->handle))
        conn_end(lives, event, LIFE_IMPLICIT);
    struct life *life;
    int result = life_add(lives, event, thread, &life);
    if (result == 0)
        result = map_put(&lives->conn_map, event->handle, (uint32_t)(life - lives->lives));
    if (result == 0)
        result = life_count(lives, life, event->stack);
    return result;
}

static void conn_link(struct lives *lives, struct life *conn, const struct stray_event *event)
{
    struct life *connection = event->value == UINT64_MAX ? NULL : fd_life(lives, event->value);
    uint32_t self = (uint32_t)(conn - lives->lives);
    bool first = conn->partner == LIVES_NONE;
    if (!first && lives->lives[conn->partner].partner == self)
        lives->lives[conn->partner].partner = LIVES_NONE;
    conn->partner = LIVES_NONE;
    if (!connection || connection->inherited != conn->inherited)
        return;
    conn->partner = (uint32_t)(connection - lives->lives);
    connection->partner = self;
    if (first) /* how long it took to connect is told before */
        connection->connect += conn->connect;
}

static void conn_used(struct lives *lives, struct life *conn, const struct stray_event *event)
{
    uint32_t uses = is_statement(event->hook);
    life_used(lives, conn, event->time, event->value, uses);
    if (conn->partner != LIVES_NONE)
        life_used(lives, &lives->lives[conn->partner], event->time, event->value, uses);
}

static void conn_duration(struct lives *lives, struct life *conn, const struct stray_event *event)
{
    conn->connect += event->value;
    if (conn->partner != LIVES_NONE)
        lives->lives[conn->partner].connect += event->value;
}

int pgconn_event(struct lives *lives, const struct stray_event *event, uint32_t thread)
{
    struct life *conn = conn_life(lives, event->handle);
    int result = 0;
    bool met = event->action == STRAY_USE || event->action == STRAY_CLOSE || (event->action == STRAY_LINK && lives->before.attached);
    if (!conn && met)
        result = conn_foreign(lives, event, thread, &conn);
    if (result < 0)
        return result;
    switch (event->action) {
    case STRAY_OPEN:
        return event->handle ? conn_open(lives, event, thread) : 0;
    case STRAY_CLOSE:
        conn_end(lives, event, LIFE_CLOSED);
        return 0;
    case STRAY_INHERITED:
        lives->books[STRAY_PGCONN].inherited++;
        return 0;
    default:
        break;
    }
    if (conn && event->action == STRAY_USE)
        conn_moved(conn, event);
    if (!conn || (conn->inherited && !conn->before))
        return 0;
    if (event->action == STRAY_LINK)
        conn_link(lives, conn, event);
    else if (event->action == STRAY_USE)
        conn_used(lives, conn, event);
    else if (event->action == STRAY_DURATION)
        conn_duration(lives, conn, event);
    else if (event->action == STRAY_FAILED)
        conn->failed = true;
    else if (event->action == STRAY_ENDPOINT)
        conn->definition = event->value;
    return 0;
}
