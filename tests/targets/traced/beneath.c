/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is allocated inside of calls of libpq: by libpq and the libraries below it, and by what libpq calls back. The server is the
 * one of PGHOST and so on. Built twice: with DIGESTS it links OpenSSL itself, and uses it in a callback.
 *
 *     beneath [PLUGIN]    uses OpenSSL by a library that it loads amid its calls of libpq
 */
#include "expect.h"

#include <dlfcn.h>
#include <libpq-fe.h>
#include <setjmp.h>
#include <string.h>
#ifdef DIGESTS
void *EVP_MD_CTX_new(void);
static void *(*new_digest)(void) = EVP_MD_CTX_new;
#else
static void *(*new_digest)(void);
#endif

#define TIMES   4
#define KEPT    2
#define NOTICES "do $$ begin raise notice 'one'; raise notice 'two'; end $$"

static void *volatile kept[64]; /* what is kept must be reachable */
static unsigned kept_count;
static int results; /* of by_exec() */
static jmp_buf out;

static void keep(void *block)
{
    MUST(block);
    kept[kept_count++] = block;
}

static SITE PGconn *by_connectdb(void) { PGconn *c = PQconnectdb(""); return c; }
static SITE PGconn *by_kept_connectdb(void) { PGconn *c = PQconnectdb(""); return c; }
static SITE PGconn *by_connectStart(void) { PGconn *c = PQconnectStart(""); return c; }
static SITE int by_connectPoll(PGconn *conn) { int state = (int)PQconnectPoll(conn); return state; }
static SITE PGresult *by_exec(PGconn *conn, const char *text) { PGresult *r = PQexec(conn, text); return r; }
static SITE char *by_escape(PGconn *conn, const char *text) { char *s = PQescapeLiteral(conn, text, strlen(text)); return s; }

static const char *digest_site = "on_notice";

static PGconn *connected(PGconn *conn)
{
    MUST(conn && PQstatus(conn) == CONNECTION_OK);
    return conn;
}

static void connects(void)
{
    for (int i = 0; i < TIMES; i++)
        PQfinish(connected(by_connectdb()));
    for (int i = 0; i < KEPT; i++)
        keep(connected(by_kept_connectdb()));
    expect("by_connectdb", "pgconn", TIMES, TIMES, -1);
    expect("by_kept_connectdb", "pgconn", KEPT, 0, -1);
    PGconn *conn = by_connectStart();
    while (by_connectPoll(conn) != PGRES_POLLING_OK)
        MUST(PQstatus(conn) != CONNECTION_BAD);
    PQfinish(connected(conn));
}

/* One block each: the text, two quotes, and the end. */
static void escapes(PGconn *conn)
{
    const char *text = "as long as this is";
    for (int i = 0; i < TIMES; i++) {
        char *escaped = by_escape(conn, text);
        if (i < KEPT)
            keep(escaped);
        else
            PQfreemem(escaped);
    }
    expect("by_escape", "pgstring", TIMES, TIMES - KEPT, -1);
    expect("by_escape", "heap", TIMES, TIMES - KEPT, KEPT * (long)(strlen(text) + 3));
}

static SITE void *by_noticed_malloc(void) { void *p = malloc(100); return p; }
static SITE char *by_noticed_strdup(void) { char *p = strdup("nine more"); return p; }
static SITE char *by_noticed_escape(PGconn *conn) { char *p = PQescapeLiteral(conn, "four", 4); return p; }

static void on_notice(void *argument, const char *message)
{
    if (new_digest)
        keep(new_digest());
    keep(by_noticed_malloc());
    keep(by_noticed_strdup());
    keep(by_noticed_escape(argument)); /* the last one: then libpq is called from here */
}

static void notices(PGconn *conn)
{
    PQsetNoticeProcessor(conn, on_notice, conn);
    for (int i = 0; i < TIMES; i++, results++)
        PQclear(by_exec(conn, NOTICES));
    PQsetNoticeProcessor(conn, NULL, NULL);
    expect("by_exec", "pgresult", results, results, -1);
    expect("by_noticed_malloc", "heap", 2 * TIMES, 0, 2 * TIMES * 100);
    expect("by_noticed_strdup", "heap", 2 * TIMES, 0, 2 * TIMES * 10);
    expect("by_noticed_escape", "heap", 2 * TIMES, 0, 2 * TIMES * 7);
    if (new_digest)
        expect(digest_site, "heap", 2 * TIMES, 0, -1);
}

static SITE void *after_jump(void) { void *p = malloc(30); return p; }

static void jump(void *argument, const char *message)
{
    longjmp(out, 1);
}

/* The call never returns; the next ones are calls like any others. */
static void jumps(void)
{
    PGconn *conn = connected(PQconnectdb(""));
    PQsetNoticeProcessor(conn, jump, NULL);
    if (setjmp(out) == 0)
        by_exec(conn, NOTICES);
    for (int i = 0; i < TIMES; i++)
        keep(after_jump());
    expect("after_jump", "heap", TIMES, 0, TIMES * 30);
}

static void *way_out[5];

static void hide(void *argument, const char *message)
{
    __builtin_longjmp(way_out, 1);
}

/* A call of libpq that is left by a way that no hook sees. */
static void leaves(PGconn *conn)
{
    PQsetNoticeProcessor(conn, hide, NULL);
    if (__builtin_setjmp(way_out) == 0)
        by_exec(conn, NOTICES);
}

static SITE PGconn *by_later_connectdb(void) { PGconn *c = PQconnectdb(""); return c; }

static void goes_on(void)
{
    leaves(connected(PQconnectdb("")));
    for (int i = 0; i < KEPT; i++)
        keep(connected(by_later_connectdb()));
    expect("by_later_connectdb", "pgconn", KEPT, 0, -1);
}

/* The code of libpq is known by then, and so is the place of the call. */
static void load(PGconn *conn, const char *path)
{
    PQclear(by_exec(conn, ""));
    results++;
    void *plugin = dlopen(path, RTLD_NOW);
    MUST(plugin);
    *(void **)&new_digest = dlsym(plugin, "digest_new");
    MUST(new_digest);
    digest_site = "digest_new";
}

int main(int argc, char **argv)
{
    connects();
    PGconn *conn = connected(PQconnectdb(""));
    escapes(conn);
    if (argc > 1)
        load(conn, argv[1]);
    notices(conn);
    PQfinish(conn);
    jumps();
    goes_on();
    return 0;
}
