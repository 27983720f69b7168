/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ways out of a libpq call that are no return: a notice processor throws, or jumps. What the thread does afterwards counts
 * as ever. The server is the one of PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
 */
#include "expect.h"

#include <csetjmp>
#include <libpq-fe.h>
#include <pthread.h>
#include <vector>

namespace
{

const int ROUNDS = 5;
jmp_buf outside;

void throws(void *, const char *) { throw 1; }
void jumps(void *, const char *) { longjmp(outside, 1); }
void ends_thread(void *, const char *) { pthread_exit(nullptr); }

} // namespace

static SITE PGconn *left_and_finished(PQnoticeProcessor processor)
{
    PGconn *volatile conn = PQconnectdb("");
    MUST(PQstatus(conn) == CONNECTION_OK);
    PQsetNoticeProcessor(conn, processor, nullptr);
    return conn;
}

static void raises(PGconn *conn) { PQexec(conn, "DO 'BEGIN RAISE WARNING $$out$$; END'"); }

static SITE void after_throw(PGconn *conn) { PGresult *volatile result = PQexec(conn, "SELECT 1"); MUST(result); }
static SITE void after_jump(PGconn *conn) { PGresult *volatile result = PQexec(conn, "SELECT 1"); MUST(result); }

/* A constructor that throws gives back what it had acquired; the hooks see both. */
struct throwing {
    std::vector<char> part;
    throwing() : part(4321) { throw 1; }
};
static SITE void constructs()
{
    try {
        throwing it;
    } catch (int) {
    }
}

static void *leave_by_exit(void *conn)
{
    raises(static_cast<PGconn *>(conn));
    return nullptr;
}

int main()
{
    PGconn *other = PQconnectdb("");
    MUST(PQstatus(other) == CONNECTION_OK);
    volatile int thrown = 0, jumped = 0;
    for (int i = 0; i < ROUNDS; i++) {
        PGconn *conn = left_and_finished(throws);
        try {
            raises(conn);
        } catch (int) {
            thrown = thrown + 1;
        }
        after_throw(other);
        PQfinish(conn);
    }
    for (volatile int i = 0; i < ROUNDS; i = i + 1) {
        PGconn *volatile conn = left_and_finished(jumps);
        if (setjmp(outside) == 0)
            raises(conn);
        else
            jumped = jumped + 1;
        after_jump(other);
        PQfinish(conn);
    }
    MUST(thrown == ROUNDS && jumped == ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        PGconn *conn = left_and_finished(ends_thread);
        pthread_t thread;
        MUST(pthread_create(&thread, nullptr, leave_by_exit, conn) == 0 && pthread_join(thread, nullptr) == 0);
        PQfinish(conn);
        constructs();
    }
    expect("left_and_finished", "pgconn", 3 * ROUNDS, 3 * ROUNDS, 0);
    expect("left_and_finished", "connection", 3 * ROUNDS, 3 * ROUNDS, 0);
    expect("after_throw", "pgresult", ROUNDS, 0, 0);
    expect("after_jump", "pgresult", ROUNDS, 0, 0);
    expect("throwing::throwing", "heap", 2 * ROUNDS, 2 * ROUNDS, 0); /* with the exception itself */
    return 0;
}
