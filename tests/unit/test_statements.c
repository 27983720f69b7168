/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "feed.h"

#define CONN 0x1000
#define OTHER 0x2000
#define IDLE UINT64_C(0)
#define OPEN UINT64_C(2)
#define TUPLES UINT64_C(2)
#define FATAL  UINT64_C(7)

static struct feed feed;

static const struct statements *statements(void)
{
    return &feed.lives->statements;
}

static uint64_t result_of(uint64_t status, uint64_t transaction, uint64_t bytes, uint64_t rows)
{
    return status << STRAY_RESULT_STATUS | transaction << STRAY_RESULT_TRANSACTION |
           bytes / STRAY_RESULT_BYTES_UNIT << STRAY_RESULT_ROWS_BITS | rows;
}

static void begin(void)
{
    feed_open(&feed);
    feed_pg_connect(&feed, CONN, 5, 1);
}

static void end(void)
{
    feed_exit(&feed);
    feed_finish(&feed);
}

static void on_conn(unsigned hook, unsigned action, uint64_t value, uint32_t stack)
{
    feed_hook(&feed, hook, action, STRAY_PGCONN, CONN, value, stack);
}

/* PQexec of a statement that takes `ticks`. */
static void execute(uint64_t definition, uint64_t key, uint64_t transaction, uint64_t ticks, uint32_t stack)
{
    on_conn(STRAY_HOOK_PQexec, STRAY_STATEMENT, definition | UINT64_C(50) << 32, stack);
    if (key)
        on_conn(STRAY_HOOK_PQexec, STRAY_KEY, key, 0);
    feed_wait(&feed, ticks);
    on_conn(STRAY_HOOK_PQexec, STRAY_RESULT, result_of(TUPLES, transaction, 640, 3), 0);
    on_conn(STRAY_HOOK_PQexec, STRAY_USE, ticks, stack);
}

static const struct statement_use *use_at(uint64_t definition, uint32_t stack)
{
    for (size_t i = 0; i < statements()->use_count; i++)
        if (statements()->uses[i].definition == definition && statements()->uses[i].stack == stack)
            return &statements()->uses[i];
    cr_assert_fail("no use of %lu at %u", (unsigned long)definition, stack);
    return NULL;
}

Test(statements, calls_are_counted_by_text_and_place)
{
    begin();
    for (int i = 0; i < 3; i++)
        execute(FEED_READ, 0, IDLE, 10 * MS, 7);
    execute(FEED_READ, 0, IDLE, 30 * MS, 8);
    end();
    const struct statement_use *use = use_at(FEED_READ, 7);
    cr_expect_eq(use->calls, 3);
    cr_expect_eq(use->rows, 9);
    cr_expect_eq(use->bytes, 3 * 640);
    cr_expect_eq(use->ticks, 30 * MS);
    cr_expect_eq(use->connections, 1);
    cr_expect_eq(use->length_most, 50);
    cr_expect(durations_quantile(use->durations, 0.5) > 0.008 && durations_quantile(use->durations, 0.5) < 0.012);
    cr_expect_eq(use_at(FEED_READ, 8)->longest, 30 * MS);
    cr_expect_eq(statements()->conns[0].statements, 4);
    feed_close_all(&feed);
}

Test(statements, errors_have_no_rows)
{
    begin();
    on_conn(STRAY_HOOK_PQexec, STRAY_STATEMENT, FEED_READ, 7);
    on_conn(STRAY_HOOK_PQexec, STRAY_RESULT, result_of(FATAL, IDLE, 64, 12345), 0);
    on_conn(STRAY_HOOK_PQexec, STRAY_USE, MS, 7);
    end();
    cr_expect_eq(use_at(FEED_READ, 7)->errors, 1);
    cr_expect_eq(use_at(FEED_READ, 7)->rows, 0);
    feed_close_all(&feed);
}

Test(statements, prepared_ones_are_known_by_their_names)
{
    begin();
    on_conn(STRAY_HOOK_PQprepare, STRAY_STATEMENT, FEED_READ, 6);
    on_conn(STRAY_HOOK_PQprepare, STRAY_NAMED, 99, 0);
    on_conn(STRAY_HOOK_PQprepare, STRAY_USE, MS, 6);
    for (int i = 0; i < 2; i++) {
        on_conn(STRAY_HOOK_PQexecPrepared, STRAY_STATEMENT, 0, 7);
        on_conn(STRAY_HOOK_PQexecPrepared, STRAY_NAMED, 99, 0);
        on_conn(STRAY_HOOK_PQexecPrepared, STRAY_USE, MS, 7);
    }
    end();
    cr_expect_eq(statements()->use_count, 1, "making one is not executing it");
    cr_expect_eq(use_at(FEED_READ, 7)->calls, 2);
    feed_close_all(&feed);
}

/* Two sent ahead; each answer goes on until a call returns none. */
Test(statements, answers_belong_to_what_was_sent_first)
{
    begin();
    on_conn(STRAY_HOOK_PQsendQuery, STRAY_STATEMENT, FEED_READ, 7);
    on_conn(STRAY_HOOK_PQsendQuery, STRAY_USE, 0, 7);
    on_conn(STRAY_HOOK_PQsendQuery, STRAY_STATEMENT, FEED_WRITE, 8);
    on_conn(STRAY_HOOK_PQsendQuery, STRAY_USE, 0, 8);
    for (unsigned i = 0; i < 2; i++) {
        feed_wait(&feed, 20 * MS);
        on_conn(STRAY_HOOK_PQgetResult, STRAY_RESULT, result_of(TUPLES, 1, 0, i + 1), 0);
        on_conn(STRAY_HOOK_PQgetResult, STRAY_USE, 0, 9);
        on_conn(STRAY_HOOK_PQgetResult, STRAY_RESULT, result_of(STRAY_RESULT_NONE, IDLE, 0, 0), 0);
        on_conn(STRAY_HOOK_PQgetResult, STRAY_USE, 0, 9);
    }
    end();
    cr_expect_eq(use_at(FEED_READ, 7)->rows, 1);
    cr_expect_eq(use_at(FEED_WRITE, 8)->rows, 2);
    cr_expect(use_at(FEED_READ, 7)->ticks >= 20 * MS && use_at(FEED_READ, 7)->ticks < 21 * MS);
    cr_expect(use_at(FEED_WRITE, 8)->ticks >= 40 * MS);
    feed_close_all(&feed);
}

/* PHP looks for answers that are left before it sends the next statement. */
Test(statements, a_call_that_sends_nothing_does_not_hide_the_silence_before_it)
{
    begin();
    execute(FEED_BEGIN, 0, OPEN, MS, 7);
    feed_wait(&feed, 2000 * MS);
    on_conn(STRAY_HOOK_PQgetResult, STRAY_RESULT, result_of(STRAY_RESULT_NONE, OPEN, 0, 0), 0);
    on_conn(STRAY_HOOK_PQgetResult, STRAY_USE, 0, 8);
    execute(FEED_READ, 0, IDLE, MS, 9);
    end();
    cr_assert_eq(statements()->idle_count, 1);
    cr_expect_eq(statements()->idles[0].times, 1);
    cr_expect(statements()->idles[0].longest >= 1999 * MS);
    feed_close_all(&feed);
}

Test(statements, a_silence_before_the_transaction_is_none)
{
    begin();
    execute(FEED_READ, 0, IDLE, MS, 7);
    feed_wait(&feed, 2000 * MS);
    execute(FEED_BEGIN, 0, OPEN, MS, 8);
    execute(FEED_READ, 0, IDLE, MS, 9);
    end();
    cr_expect_eq(statements()->idle_count, 0);
    feed_close_all(&feed);
}

Test(statements, silences_in_transactions_belong_to_what_began_them)
{
    begin();
    execute(FEED_BEGIN, 0, OPEN, MS, 7);
    feed_wait(&feed, 900 * MS);
    execute(FEED_READ, 0, OPEN, MS, 8);
    feed_wait(&feed, 3000 * MS);
    execute(FEED_READ, 0, IDLE, MS, 9);
    feed_wait(&feed, 9000 * MS); /* idle, and in no transaction */
    execute(FEED_BEGIN, 0, OPEN, MS, 10);
    feed_wait(&feed, 2000 * MS);
    end();
    cr_assert_eq(statements()->idle_count, 2);
    const struct statement_idle *idle = statements()->idles;
    cr_expect_eq(idle[0].stack, 7);
    cr_expect_eq(idle[0].times, 1);
    cr_expect(idle[0].longest >= 3000 * MS && idle[0].longest < 3001 * MS);
    cr_expect_eq(idle[0].connections, 0);
    cr_expect_eq(statements()->uses[idle[0].last_use].stack, 8);
    cr_expect_eq(idle[1].stack, 10);
    cr_expect_eq(idle[1].connections, 1, "it was left so");
    feed_close_all(&feed);
}

static void run_of(unsigned count, unsigned others, uint64_t transaction)
{
    begin();
    if (transaction)
        execute(FEED_BEGIN, 0, OPEN, MS, 6);
    for (unsigned i = 0; i < count; i++) {
        execute(FEED_READ, 0, transaction, MS, 7);
        feed_wait(&feed, transaction ? 2000 * MS : MS);
        for (unsigned k = 0; k < (i % 2 ? others : 0); k++)
            execute(FEED_ADD, 0, transaction, MS, 8);
    }
    end();
}

Test(statements, loops_are_runs_on_one_connection)
{
    run_of(12, 0, IDLE);
    cr_expect_eq(use_at(FEED_READ, 7)->loops.longest, 12);
    cr_expect_eq(use_at(FEED_READ, 7)->loops.runs, 1);
    cr_expect_eq(use_at(FEED_READ, 7)->loops.calls, 12);
    cr_expect_not(use_at(FEED_READ, 7)->loops.in_transaction);
    feed_close_all(&feed);
    run_of(10, 0, OPEN);
    cr_expect_eq(use_at(FEED_READ, 7)->loops.longest, 10, "a transaction may take its time");
    cr_expect(use_at(FEED_READ, 7)->loops.in_transaction);
    feed_close_all(&feed);
    run_of(4, 0, IDLE);
    cr_expect_eq(use_at(FEED_READ, 7)->loops.runs, 0, "too few");
    feed_close_all(&feed);
    run_of(20, 1, IDLE);
    cr_expect_eq(use_at(FEED_READ, 7)->loops.runs, 0, "too many others between");
    feed_close_all(&feed);
}

Test(statements, what_is_spread_over_seconds_is_no_loop)
{
    begin();
    for (unsigned i = 0; i < 30; i++) {
        execute(FEED_READ, 0, IDLE, MS, 7);
        feed_wait(&feed, 400 * MS);
    }
    end();
    cr_expect_eq(use_at(FEED_READ, 7)->loops.runs, 0);
    feed_close_all(&feed);
}

/* Calls of one connection, and a request for every `each` of them. */
static uint32_t loop_of_requests(unsigned count, unsigned each, uint64_t transaction)
{
    begin();
    for (unsigned i = 0; i < count; i++) {
        if (i % each == 0)
            feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 100 + i, 7, 3);
        execute(FEED_READ, 0, transaction, MS, 7);
    }
    end();
    uint32_t longest = use_at(FEED_READ, 7)->loops.longest;
    feed_close_all(&feed);
    return longest;
}

Test(statements, one_call_a_request_is_no_loop)
{
    cr_expect_eq(loop_of_requests(40, 1, IDLE), 0);
    cr_expect_eq(loop_of_requests(40, 2, IDLE), 0, "two calls");
    cr_expect_eq(loop_of_requests(40, 20, IDLE), 40, "twenty");
    cr_expect_eq(loop_of_requests(40, 1, OPEN), 40, "a transaction is one piece of work");
}

/* Requests that eight threads serve by turns, each over a connection of its own: so many calls in each. */
static uint64_t loops_of_threads(unsigned calls)
{
    begin();
    for (unsigned i = 1; i < 8; i++)
        feed_pg_connect(&feed, CONN + 16 * i, 10 + i, 1);
    for (unsigned i = 0; i < 80; i++) {
        feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 100 + i, 7, 3);
        for (unsigned k = 0; k < calls; k++) {
            uint64_t conn = CONN + 16 * (i % 8);
            feed_hook(&feed, STRAY_HOOK_PQexec, STRAY_STATEMENT, STRAY_PGCONN, conn, FEED_READ | UINT64_C(50) << 32, 7);
            feed_hook(&feed, STRAY_HOOK_PQexec, STRAY_RESULT, STRAY_PGCONN, conn, result_of(TUPLES, IDLE, 640, 3), 0);
            feed_hook(&feed, STRAY_HOOK_PQexec, STRAY_USE, STRAY_PGCONN, conn, MS, 7);
        }
    }
    end();
    uint64_t runs = use_at(FEED_READ, 7)->loops.runs;
    feed_close_all(&feed);
    return runs;
}

Test(statements, requests_of_other_connections_excuse_no_loop)
{
    cr_expect_eq(loops_of_threads(1), 0);
    cr_expect_geq(loops_of_threads(12), 8);
}

static uint64_t overwrites(uint64_t read, uint64_t write, uint64_t written_key)
{
    begin();
    execute(FEED_BEGIN, 0, OPEN, MS, 6);
    execute(read, 42, OPEN, MS, 7);
    execute(write, written_key, OPEN, MS, 8);
    end();
    uint64_t count = use_at(write, 8)->overwrites;
    feed_close_all(&feed);
    return count;
}

Test(statements, what_was_read_and_is_written_again)
{
    cr_expect_eq(overwrites(FEED_READ, FEED_WRITE, 42), 1);
    cr_expect_eq(overwrites(FEED_READ, FEED_WRITE, 43), 0, "another row");
    cr_expect_eq(overwrites(FEED_READ_LOCKED, FEED_WRITE, 42), 0, "it was locked");
    cr_expect_eq(overwrites(FEED_READ, FEED_ADD, 42), 0, "the server adds");
}

Test(statements, reads_of_another_transaction_do_not_count)
{
    begin();
    execute(FEED_BEGIN, 0, OPEN, MS, 6);
    execute(FEED_READ, 42, IDLE, MS, 7);
    execute(FEED_BEGIN, 0, OPEN, MS, 6);
    execute(FEED_WRITE, 42, IDLE, MS, 8);
    end();
    cr_expect_eq(use_at(FEED_WRITE, 8)->overwrites, 0);
    feed_close_all(&feed);
}

Test(statements, loops_that_wait_for_events_are_kept_by_long_calls)
{
    begin();
    execute(FEED_READ, 0, IDLE, 60 * MS, 7);
    feed_hook(&feed, STRAY_HOOK_epoll_wait, STRAY_WAITED, STRAY_RESOURCE_NONE, 0, 1, 0);
    execute(FEED_READ, 0, IDLE, 60 * MS, 7);
    feed_hook(&feed, STRAY_HOOK_epoll_wait, STRAY_WAITED, STRAY_RESOURCE_NONE, 0, 2, 0);
    cr_expect_eq(statements()->blocked_count, 0, "no loop so far");
    execute(FEED_READ, 0, IDLE, 40 * MS, 7);
    execute(FEED_READ, 0, IDLE, 60 * MS, 7);
    execute(FEED_READ, 0, IDLE, 120 * MS, 7);
    feed_hook(&feed, STRAY_HOOK_getaddrinfo, STRAY_BLOCKED, STRAY_RESOURCE_NONE, UINT64_MAX, 80 * MS, 9);
    end();
    cr_assert_eq(statements()->blocked_count, 2);
    cr_expect_eq(statements()->blocked[0].all.calls, 2);
    cr_expect_eq(statements()->blocked[0].all.longest, 120 * MS);
    cr_expect_eq(statements()->blocked[1].stack, 9);
    feed_close_all(&feed);
}

static void waited(unsigned hook, uint64_t times)
{
    feed_hook(&feed, hook, STRAY_WAITED, STRAY_RESOURCE_NONE, 0, times, 0);
}

static void blocked(uint64_t ticks)
{
    feed_hook(&feed, STRAY_HOOK_read, STRAY_BLOCKED, STRAY_RESOURCE_NONE, 7, ticks, 9);
}

static uint64_t blocked_while_serving(void)
{
    return statements()->blocked_count > 0 ? statements()->blocked[0].serving.calls : 0;
}

/* What a tool waits for by poll(), or before anybody has come to be served, keeps nobody. */
Test(statements, loops_that_others_depend_on)
{
    begin();
    waited(STRAY_HOOK_epoll_wait, 20);
    blocked(300 * MS);
    cr_expect_eq(blocked_while_serving(), 0, "a tool");
    feed_event(&feed, STRAY_OPEN, STRAY_CONNECTION, 8, 0, 3);
    blocked(90 * MS);
    blocked(60 * MS);
    blocked(40 * MS);
    feed.thread++;
    waited(STRAY_HOOK_poll, 20);
    waited(STRAY_HOOK_epoll_wait, 2);
    blocked(200 * MS);
    end();
    cr_assert_eq(statements()->blocked_count, 1);
    cr_expect_eq(statements()->blocked[0].all.calls, 4);
    cr_expect_eq(blocked_while_serving(), 2);
    cr_expect_eq(statements()->blocked[0].serving.longest, 90 * MS);
    cr_expect_eq(statements()->blocked[0].serving.ticks, 150 * MS);
    feed_close_all(&feed);
}

static void awaited(uint64_t ticks, uint32_t stack)
{
    feed_hook(&feed, STRAY_HOOK_sem_wait, STRAY_AWAITED, STRAY_RESOURCE_NONE, UINT64_MAX, ticks, stack);
}

Test(statements, whoever_waits_for_what_another_thread_uses)
{
    begin();
    uint32_t first = feed.thread;
    execute(FEED_READ, 0, IDLE, 60 * MS, 7);
    feed.thread = first + 1;
    awaited(50 * MS, 9);
    awaited(20 * MS, 9); /* somebody was faster */
    execute(FEED_READ, 0, IDLE, 30 * MS, 8);
    awaited(10 * MS, 9);
    execute(FEED_READ, 0, IDLE, 30 * MS, 8); /* nobody else has used it since */
    feed.thread = first;
    feed_wait(&feed, 20 * MS);
    awaited(10 * MS, 9);
    execute(FEED_READ, 0, IDLE, 60 * MS, 7); /* nor during the wait */
    end();
    cr_assert_eq(statements()->queue_count, 1);
    const struct statement_queue *queue = &statements()->queues[0];
    cr_expect_eq(queue->times, 1);
    cr_expect_eq(queue->ticks, 70 * MS);
    cr_expect_eq(queue->longest, 70 * MS);
    cr_expect_eq(queue->stack, 9);
    cr_expect_eq(queue->next_stack, 8);
    feed_close_all(&feed);
}

/* One thread uses the connection, one opens another under the pool's lock, for which the third one waits. */
static void wait_beside_a_connect(uint64_t connecting)
{
    uint32_t first = feed.thread;
    begin();
    execute(FEED_READ, 0, IDLE, 60 * MS, 7);
    feed.thread = first + 1;
    feed_hook(&feed, STRAY_HOOK_PQconnectdb, STRAY_DURATION, STRAY_PGCONN, OTHER, connecting, 0);
    feed.thread = first + 2;
    awaited(50 * MS, 9);
    execute(FEED_READ, 0, IDLE, 30 * MS, 8);
    end();
}

Test(statements, who_waits_for_a_connect_waits_for_no_connection)
{
    wait_beside_a_connect(40 * MS);
    cr_expect_eq(statements()->queue_count, 0);
    feed_close_all(&feed);
}

Test(statements, who_waits_longer_than_for_a_connect)
{
    wait_beside_a_connect(20 * MS);
    cr_expect_eq(statements()->queue_count, 1);
    feed_close_all(&feed);
}

Test(statements, what_is_in_use_counts_once)
{
    begin();
    execute(FEED_READ, 0, IDLE, 50 * MS, 7);
    feed_wait(&feed, 100 * MS);
    uint64_t begun = feed.now;
    execute(FEED_BEGIN, 0, OPEN, 10 * MS, 6);
    feed_wait(&feed, 30 * MS);
    execute(FEED_READ, 0, OPEN, 50 * MS, 7);
    execute(FEED_READ, 0, IDLE, 10 * MS, 7);
    uint64_t used = feed.now - begun;
    feed_wait(&feed, 100 * MS);
    end();
    cr_expect(statements()->conns[0].used >= 50 * MS + 100 * MS);
    cr_expect(statements()->conns[0].used <= 50 * MS + used);
    feed_close_all(&feed);
}

/* Rows are used again for other connections; what was counted stays. */
Test(statements, many_connections_one_after_the_other)
{
    feed_open(&feed);
    for (int i = 0; i < 1000; i++) {
        feed_pg_connect(&feed, CONN, 5, 1);
        execute(FEED_READ, 0, OPEN, MS, 7);
        feed_pg_close(&feed, CONN, 5, BY_CLOSE);
    }
    end();
    cr_expect_eq(statements()->conn_count, 1000);
    cr_expect_eq(statements()->session_count, 1);
    cr_expect_eq(use_at(FEED_READ, 7)->connections, 1000);
    feed_close_all(&feed);
}

/* ---- names of prepared statements ---- */

static void with_name(unsigned hook, uint64_t definition, uint64_t name, uint64_t status, uint32_t stack)
{
    on_conn(hook, STRAY_STATEMENT, definition, stack);
    on_conn(hook, STRAY_NAMED, name, 0);
    feed_wait(&feed, MS);
    on_conn(hook, STRAY_RESULT, result_of(status, IDLE, 0, 0), 0);
    on_conn(hook, STRAY_USE, MS, stack);
}

static const struct statement_prepared *after(void (*each)(uint64_t))
{
    begin();
    for (uint64_t name = 1; name <= 30; name++)
        each(name);
    end();
    cr_assert_eq(statements()->prepared_count, 1);
    return &statements()->prepared[0];
}

static void names_and_uses(uint64_t name)
{
    with_name(STRAY_HOOK_PQprepare, FEED_READ, name, 1, 6);
    with_name(STRAY_HOOK_PQexecPrepared, 0, name, TUPLES, 7);
}

static void names_and_closes(uint64_t name)
{
    names_and_uses(name);
    with_name(STRAY_HOOK_PQclosePrepared, 0, name, 1, 8);
}

static void names_and_resets(uint64_t name)
{
    names_and_uses(name);
    on_conn(STRAY_HOOK_PQreset, STRAY_USE, MS, 8);
}

static void uses_all_again(uint64_t name)
{
    with_name(STRAY_HOOK_PQprepare, FEED_READ, name, 1, 6);
    for (uint64_t each = 1; each <= name; each++)
        with_name(STRAY_HOOK_PQexecPrepared, 0, each, TUPLES, 7);
}

static void never_uses(uint64_t name)
{
    with_name(STRAY_HOOK_PQprepare, FEED_READ, name, 1, 6);
}

static void is_refused(uint64_t name)
{
    with_name(STRAY_HOOK_PQprepare, FEED_READ, 1, name == 1 ? 1 : FATAL, 6);
    with_name(STRAY_HOOK_PQprepare, FEED_READ, name + 100, FATAL, 6);
    with_name(STRAY_HOOK_PQexecPrepared, 0, name + 100, FATAL, 7);
}

Test(statements, names_that_are_not_used_again_are_abandoned)
{
    const struct statement_prepared *prepared = after(names_and_uses);
    cr_expect_eq(prepared->made, 30);
    cr_expect_eq(prepared->left, 30);
    cr_expect_eq(prepared->abandoned, 29, "all but the last one");
    cr_expect_eq(prepared->connections, 1);
    feed_close_all(&feed);
}

Test(statements, names_that_are_closed_or_used_again_or_refused_are_not)
{
    void (*const healthy[])(uint64_t) = {names_and_closes, names_and_resets, uses_all_again, never_uses, is_refused};
    const uint64_t made[] = {30, 30, 30, 30, 1}, deallocated[] = {30, 0, 0, 0, 0};
    for (size_t i = 0; i < sizeof(healthy) / sizeof(*healthy); i++) {
        const struct statement_prepared *prepared = after(healthy[i]);
        cr_expect_eq(prepared->made, made[i], "%zu: %lu", i, (unsigned long)prepared->made);
        cr_expect_eq(prepared->deallocated, deallocated[i], "%zu", i);
        cr_expect_eq(prepared->abandoned, 0, "%zu", i);
        feed_close_all(&feed);
    }
}

/* ---- loops ---- */

static uint32_t loop_of(uint64_t definition, uint64_t rows, bool ahead)
{
    uint32_t longest;
    begin();
    for (int i = 0; ahead && i < 20; i++)
        on_conn(STRAY_HOOK_PQsendQueryParams, STRAY_STATEMENT, definition, 7);
    for (int i = 0; i < 20; i++) {
        if (!ahead)
            on_conn(STRAY_HOOK_PQsendQueryParams, STRAY_STATEMENT, definition, 7);
        feed_wait(&feed, MS);
        on_conn(STRAY_HOOK_PQgetResult, STRAY_RESULT, result_of(TUPLES, IDLE, 0, rows), 0);
        on_conn(STRAY_HOOK_PQgetResult, STRAY_RESULT, result_of(STRAY_RESULT_NONE, IDLE, 0, 0), 0);
        on_conn(STRAY_HOOK_PQgetResult, STRAY_USE, 0, 8);
    }
    end();
    longest = use_at(definition, 7)->loops.longest;
    feed_close_all(&feed);
    return longest;
}

Test(statements, portions_and_what_is_sent_ahead_are_no_loops)
{
    cr_expect_eq(loop_of(FEED_READ, 1, false), 20);
    cr_expect_eq(loop_of(FEED_READ, 300, false), 20, "children of one after the other");
    cr_expect_eq(loop_of(FEED_PAGE, 300, false), 0, "a page after the other");
    cr_expect_eq(loop_of(FEED_PAGE, 1, false), 20, "the first one of each");
    cr_expect_eq(loop_of(FEED_BATCH, 100, false), 0);
    cr_expect_eq(loop_of(FEED_BATCH, 1, false), 20, "lists of one");
    cr_expect_eq(loop_of(FEED_READ, 1, true), 0, "as in a pipeline");
}
