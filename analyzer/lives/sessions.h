/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must be known of a connection while its events come by: what was sent and not yet answered, the transaction, and what was
 * sent lately. For the files that count
 * statements only.
 */
#ifndef STRAY_LIVES_SESSIONS_H
#define STRAY_LIVES_SESSIONS_H

#include "lives/statements.h"

#define SESSION_PENDING 64u /* statements sent ahead, as in a pipeline; those beyond are not timed */
#define SESSION_SEEN    16u /* different statements of a run that are told apart */
#define SESSION_READS   16u /* rows read that are remembered */

/* A statement of the run under way: of a transaction, or of a second. */
struct session_seen {
    uint32_t use, calls;
    uint32_t first, last; /* positions in the run */
    uint64_t begin, end, ticks;
    uint64_t rows;  /* returned or touched */
    uint32_t ahead; /* calls that were sent before the one before had been answered */
    uint64_t requests, requests_last; /* accepted by the first and by the last call */
    uint64_t everywhere, everywhere_last; /* calls of it on all connections, likewise */
};

struct session_run {
    uint64_t begin; /* 0: none */
    bool in_transaction;
    uint32_t position;
    uint32_t count;
    struct session_seen seen[SESSION_SEEN];
};

struct session_pending {
    uint64_t sent;
    uint32_t use;  /* STATEMENTS_NONE: it is not counted (PQprepare ...) */
    uint32_t name; /* the one it makes; STATEMENTS_NONE: none */
};

struct session_read {
    uint64_t key, table;
    uint32_t use;
};

/* The statement that is being told: it is complete once another event of the connection comes. */
struct session_telling {
    bool under_way;
    uint64_t time, definition, length, members, key, name;
    uint32_t stack;
    uint16_t hook;
};

/* A thread's last wait for another thread, which may have taken several turns at the same place. */
struct await {
    uint64_t begin, end; /* end 0: none since its last statement */
    uint64_t ticks;
    uint32_t stack;
};

/* The time in which a thread connected. */
struct connecting {
    uint64_t begin, end;
    uint32_t thread;
};

#define HELD_LATER 8u

/* Where its thread sent another statement from while a large result was held, for the first time. */
struct held_later {
    uint32_t stack;
    uint64_t time;
};

/* A large result. */
struct held {
    uint64_t since;   /* 0: it was released */
    uint64_t another; /* when its thread got another one at the same place; 0: never */
    uint32_t use, thread;
    uint32_t later_count;
    struct held_later later[HELD_LATER];
};

struct session {
    struct session_telling telling;
    struct session_pending *pending; /* a ring, which grows to SESSION_PENDING: most connections send nothing ahead */
    uint32_t pending_first, pending_count, pending_room;
    uint32_t open_stack; /* of the call that connected */
    uint64_t last_end;   /* of a call; 0: none */
    uint32_t last_thread; /* that made it */
    uint64_t used_until; /* what came before is counted in `used` */
    uint64_t answer_rows; /* of the call that is being answered */
    uint64_t begun;      /* the transaction under way; 0: none */
    uint32_t begun_stack;
    struct session_run run;
    struct session_read reads[SESSION_READS];
    uint32_t read_count;
    uint32_t first_name, last_name; /* its prepared statements, and one; 0: none */
    uint32_t next_free; /* the next one that is to be used again, and one; 0: none */
};

static inline struct session *session_of(const struct statements *statements, uint32_t conn)
{
    return &statements->sessions[statements->conns[conn].session];
}

/* Seconds. */
static inline double statements_span(const struct statements *statements, uint64_t ticks)
{
    return statements->source.span(statements->source.data, ticks);
}

/* ---- statements by place (uses.c) ---- */

/* What stands for the stack, and for those that differ in a driver's own frames only. -ENOMEM. */
int use_place(struct statements *statements, uint32_t stack, uint32_t *ret_place);
/* The statement was sent over `conn`. -ENOMEM. */
int use_called(struct statements *statements, uint32_t conn, const struct session_telling *telling, uint32_t *ret_row);
/* The bucket of struct statement_use's durations (durations.c). */
unsigned duration_bucket(double seconds);

/* ---- transactions (transactions.c) ---- */

/* The connection was silent from the end of its last call to `time`, when the next one began; `left`: and nothing came after.
 * -ENOMEM. */
int transaction_silent(struct statements *statements, uint32_t conn, uint64_t time, bool left);
/* What a call left the connection in, as libpq tells it; the call sent a statement at `sent`, from `stack`. */
void transaction_seen(struct statements *statements, uint32_t conn, uint8_t status, uint64_t sent, uint32_t stack, uint64_t time);
/* The transaction under way is over. */
void transaction_ended(struct statements *statements, uint32_t conn, uint64_t time);
/* From `from` to `to` somebody had use of the connection. */
void conn_in_use(struct statements *statements, uint32_t conn, uint64_t from, uint64_t to);

/* ---- event loops (event_loops.c) ---- */

/* `thread` has waited for events. -ENOMEM. */
int event_loop_waited(struct statements *statements, const struct stray_event *event, uint32_t thread);
/* It has done so often enough. */
bool runs_event_loop(const struct statements *statements, uint32_t thread);
/* A call at `stack` kept the thread from that, for `event`'s value. -ENOMEM. */
int event_loop_kept(struct statements *statements, const struct stray_event *event, uint32_t thread, uint32_t stack);

/* ---- runs (loops.c) ---- */

/* One more call of `use` in the session, from `begin` to `end`, which took `ticks`, and returned or touched `rows`. */
void session_called(struct statements *statements, struct session *session, uint32_t use, uint64_t begin, uint64_t end, uint64_t ticks,
                    uint64_t rows);
/* The run is over: what it came to is added to the uses. */
void session_end_run(struct statements *statements, struct session *session);

/* ---- queues (queues.c) ---- */

/* `thread` has connected, which took `event`'s value. -ENOMEM. */
int queue_connected(struct statements *statements, const struct stray_event *event, uint32_t thread);
/* `thread` has waited for another thread; and: it sends a statement over `conn` at `stack`. -ENOMEM. */
int queue_awaited(struct statements *statements, const struct stray_event *event, uint32_t thread);
int queue_left(struct statements *statements, uint32_t conn, uint32_t stack, uint32_t thread);

/* ---- large results (results.c) ---- */

/* An event of a PGresult. -ENOMEM. */
int result_fed(struct statements *statements, const struct stray_event *event, uint32_t thread);
/* `thread` sends a statement at `stack`. */
void result_left(struct statements *statements, uint32_t stack, uint32_t thread, uint64_t time);
/* -ENOMEM. */
int results_finish(struct statements *statements, uint64_t tc);

/* ---- prepared statements (prepared.c) ---- */

/* A name of a prepared statement; `conn` STATEMENTS_NONE: it is free. */
struct prepared_name {
    uint64_t hash, made, used; /* used: the last time; 0: never */
    uint32_t conn, of;         /* of: row of `prepared` */
    uint32_t before, after;    /* of the connection's, or of the free ones, and one; 0: none */
};

/* `conn` is told to make a name at a place; STATEMENTS_NONE: it has none. -ENOMEM. */
int prepared_made(struct statements *statements, uint32_t conn, const struct session_telling *telling, uint32_t place,
                  uint32_t *ret_name);
/* The server refused it. */
void prepared_failed(struct statements *statements, uint32_t conn, uint32_t row);
void prepared_used(struct statements *statements, uint32_t conn, uint64_t hash, uint64_t time);
/* `hash` is deallocated; and: all are, or the connection is made anew. */
void prepared_closed(struct statements *statements, uint32_t conn, uint64_t hash);
void prepared_closed_all(struct statements *statements, uint32_t conn, bool deallocated);
/* The connection ends with the names that are left. -ENOMEM. */
int prepared_conn_ended(struct statements *statements, uint32_t conn, uint64_t time);
/* When all connections have ended. */
void prepared_finish(struct statements *statements, uint64_t tc);

/* The row of `key` in an array with its map; made, zeroed, if new. -ENOMEM. */
int row_of(struct map *map, uint64_t key, void *array, size_t *room, size_t *count, size_t size, uint32_t *ret_row, bool *ret_new);
uint64_t key_of(uint64_t a, uint64_t b);

#endif
