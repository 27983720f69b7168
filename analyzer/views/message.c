/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One sentence a finding. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "read/pairs.h"
#include "read/words.h"
#include "views/numbers.h"
#include "views/report_steps.h"

#define HELD_LONG_S 10.0 /* a large result that is worth to be mentioned */

static const char *thing_of(unsigned resource)
{
    switch (resource) {
    case STRAY_HEAP:
        return "block";
    case STRAY_CONNECTION:
        return "connection";
    case STRAY_PGCONN:
        return "PGconn";
    case STRAY_PGRESULT:
        return "PGresult";
    case STRAY_TEMPFILE:
        return "temporary file";
    case STRAY_PGCANCEL:
        return "cancel object";
    case STRAY_PGCONNINFO:
        return "list of connection options";
    case STRAY_PGSTRING:
        return "string of libpq";
    case STRAY_LARGE_OBJECT:
        return "large object";
    case STRAY_MMAP:
        return "mapping";
    case STRAY_PYOBJECT:
        return "object";
    case RESOURCE_PREPARED:
        return "prepared statement";
    default:
        return resource < STRAY_RESOURCE_END ? resource_label(resource) : pairs_resource_thing(resource);
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void say_where(const struct report_finding *finding, char *text, size_t size)
{
    if (finding->site && finding->site->function)
        snprintf(text, size, "%.200s", finding->site->function);
    else if (finding->site && finding->site->module)
        snprintf(text, size, "%.200s+0x%" PRIx64, base_name(finding->site->module), finding->site->offset);
    else
        snprintf(text, size, "an unnamed function");
}

static void say_peer(const struct report_finding *finding, char *text, size_t size)
{
    text[0] = '\0';
    if (finding->peer)
        snprintf(text, size, " %s %.200s", finding->server ? "at" : "to", finding->peer);
}

static void say_leaked(const struct report_finding *finding, const char *where, const char *peer, char *text,
                       size_t size)
{
    struct words things, opened, bytes;
    words_things(&things, finding->count, thing_of(finding->resource));
    words_count(&opened, (uint64_t)report_fact(finding, "opened"));
    words_bytes(&bytes, (double)finding->bytes);
    const char *verb = finding->server ? "accepted" : "opened";
    const char *never = finding->verdict != VERDICT_CREEP                    ? "never released"
                        : report_fact(finding, "grown_by_realloc_bytes") > 0 ? "made ever bigger"
                        : report_fact(finding, "too_early_to_tell") > 0      ? "still kept; too early to tell"
                                                                        : "still kept, and still growing";
    const char *about = finding->estimated ? "about " : "", *estimated = finding->estimated ? ", estimated" : "";
    if (finding->resource == STRAY_MMAP) /* address space: whether memory stands behind it is not known */
        snprintf(text, size, "%s (%s of address space) made by %s %s %s, of %s made", things.text, bytes.text,
                 where, finding->count == 1 ? "was" : "were",
                 finding->verdict == VERDICT_CREEP ? never : "never unmapped", opened.text);
    else if (finding->resource == STRAY_PYOBJECT)
        snprintf(text, size, "%s%s (%s%s) made by %s %s %s, of %s made", about, things.text, bytes.text, estimated, where,
                 finding->count == 1 ? "was" : "were", never, opened.text);
    else if (finding->bytes > 0)
        snprintf(text, size, "%s%s (%s%s) acquired by %s %s %s, of %s acquired", about, things.text, bytes.text, estimated,
                 where, finding->count == 1 ? "was" : "were", never, opened.text);
    else
        snprintf(text, size, "%s%s %s by %s %s never closed, of %s %s", things.text, peer, verb, where,
                 finding->count == 1 ? "was" : "were", opened.text, verb);
}

/* Memory of a tool that has ended. */
static void say_kept(const struct report_finding *finding, const char *where, char *text, size_t size)
{
    struct words things, bytes;
    words_things(&things, finding->count, thing_of(finding->resource));
    words_bytes(&bytes, (double)finding->bytes);
    snprintf(text, size, "%s%s (%s) acquired by %s %s kept until the program ended by itself, which gave them back",
             finding->estimated ? "about " : "", things.text, bytes.text, where, finding->count == 1 ? "was" : "were");
}

static void say_left(const struct report_finding *finding, const char *where, char *text, size_t size)
{
    struct words left, opened;
    words_count(&left, finding->count);
    words_count(&opened, (uint64_t)report_fact(finding, "opened"));
    int length = snprintf(text, size, "%s leaves temporary files behind: %s of %s made %s still there", where,
                          left.text, opened.text, finding->count == 1 ? "is" : "are");
    if (finding->example && length > 0 && (size_t)length < size)
        snprintf(text + length, size - (size_t)length, ", for example %.400s", finding->example);
}

/* Threads and children: what has ended was not asked for its result, what has not goes on for good. */
static void say_running(const struct report_finding *finding, const char *where, char *text, size_t size)
{
    struct words things, made;
    uint64_t ended = (uint64_t)report_fact(finding, "ended");
    bool child = finding->resource == STRAY_CHILD, one = finding->count == 1;
    words_things(&things, finding->count, child ? "child" : "thread");
    words_count(&made, (uint64_t)report_fact(finding, "opened"));
    const char *fate =
        child && ended ? one ? "has exited and was never waited for" : "have exited and were never waited for"
        : ended        ? one ? "has ended and was never joined" : "have ended and were never joined"
        : one          ? "never ended"
                       : "never ended, and their number grows";
    snprintf(text, size, "%s started by %s %s, of %s started", things.text, where, fate, made.text);
}

static void say_shared(const struct report_finding *finding, const char *where, const char *peer, char *text,
                       size_t size)
{
    struct words things, users;
    uint64_t children = (uint64_t)report_fact(finding, "used_by_children");
    words_things(&things, finding->count, thing_of(finding->resource));
    words_count(&users, children);
    snprintf(text, size, "%s%s opened by %s %s used by %s child %s%s after the fork", things.text, peer,
             where, finding->count == 1 ? "is" : "are", users.text, children == 1 ? "process" : "processes",
             report_fact(finding, "used_by_opener") > 0 ? " and by the process itself" : "");
}

static void say_retained(const struct report_finding *finding, const char *where, char *text, size_t size)
{
    struct words retained, growth;
    double grown = report_fact(finding, "rss_growth_bytes");
    words_bytes(&retained, (double)finding->bytes);
    words_bytes(&growth, grown);
    int length = snprintf(text, size, "the allocator keeps %s that were freed", retained.text);
    if (finding->site && length > 0 && (size_t)length < size)
        length += snprintf(text + length, size - (size_t)length, ", most of them by what %s acquired", where);
    if (grown > 0 && length > 0 && (size_t)length < size)
        length += snprintf(text + length, size - (size_t)length, ", of the %s by which resident memory grew", growth.text);
    if (length > 0 && (size_t)length < size)
        snprintf(text + length, size - (size_t)length,
                 ": try malloc_trim(0) after such work, MALLOC_ARENA_MAX=2 with many threads, or another allocator");
}

static void say_prepared(const struct report_finding *finding, const char *where, char *text, size_t size)
{
    struct words names, opened, connections;
    words_things(&names, finding->count, thing_of(finding->resource));
    words_count(&opened, (uint64_t)report_fact(finding, "opened"));
    words_things(&connections, (uint64_t)report_fact(finding, "connections"), "connection");
    snprintf(text, size, "%s made by %s were never deallocated, of %s made, on %s: the server keeps each of them; give one text one name",
             names.text, where, opened.text, connections.text);
}

static void say_held(const struct report_finding *finding, const char *where, char *text, size_t size)
{
    struct words bytes, rows, held, results;
    words_bytes(&bytes, (double)finding->bytes);
    words_count(&rows, (uint64_t)report_fact(finding, "rows_most"));
    words_duration(&held, report_fact(finding, "held_s"));
    words_things(&results, finding->count, "result");
    snprintf(text, size, "%s keeps %s of up to %s rows (%s) for up to %s, and goes on to other work: close the cursor, or PQclear the "
             "result, once it is read", where, results.text, rows.text, bytes.text, held.text);
}

/* What is sent to a database, and how; false: the verdict is about something else. */
static bool say_statement(const struct report_finding *finding, const char *where, const char *peer, char *text,
                          size_t size)
{
    struct words count, most, longest, held;
    words_count(&count, finding->count);
    words_duration(&longest, report_fact(finding, "longest_s"));
    switch (finding->verdict) {
    case VERDICT_STATEMENT_LOOP:
        words_count(&most, (uint64_t)report_fact(finding, "longest_run"));
        snprintf(text, size, "%s sends one statement up to %s times in a row%s, %s times in all: one for all of them would do", where,
                 most.text, report_fact(finding, "in_transaction") > 0 ? " in one transaction" : "", count.text);
        return true;
    case VERDICT_UNBOUNDED_RESULT:
        words_count(&most, (uint64_t)report_fact(finding, "rows_most"));
        words_bytes(&longest, (double)finding->bytes);
        words_duration(&held, report_fact(finding, "held_s"));
        snprintf(text, size, "%s fetches up to %s rows (%s) in one result%s%s, and nothing bounds their number: fetch them in portions",
                 where, most.text, longest.text, report_fact(finding, "held_s") >= HELD_LONG_S ? ", which it kept for " : "",
                 report_fact(finding, "held_s") >= HELD_LONG_S ? held.text : "");
        return true;
    case VERDICT_LARGE_STATEMENT:
        words_count(&most, (uint64_t)report_fact(finding, "members_most"));
        words_bytes(&longest, report_fact(finding, "length_most"));
        snprintf(text, size, "%s sends statements of up to %s, with lists of up to %s members: send an array, or COPY", where,
                 longest.text, most.text);
        return true;
    case VERDICT_IDLE_IN_TRANSACTION:
        snprintf(text, size, "a transaction that %s began was left idle%s %s %s, for up to %s: it keeps its locks meanwhile", where,
                 report_fact(finding, "failed") > 0 ? " after an error" : "", count.text, finding->count == 1 ? "time" : "times", longest.text);
        return true;
    case VERDICT_BLOCKED_EVENT_LOOP:
        snprintf(text, size, "%s keeps an event loop waiting for up to %s in %s, %s %s", where, longest.text,
                 finding->call ? finding->call : "a call", count.text, finding->count == 1 ? "time" : "times");
        return true;
    case VERDICT_POOL_SATURATED:
        snprintf(text, size, "%s has had to wait for one of the %.0f connections%s, %s %s, for %.1f s in all and up to %s at a time: "
                 "they are in use for %.0f %% of the time",
                 where, report_fact(finding, "pooled_connections"), peer, count.text, finding->count == 1 ? "time" : "times",
                 report_fact(finding, "seconds"), longest.text, 100 * report_fact(finding, "share_in_use"));
        return true;
    case VERDICT_HELD_RESULT:
        say_held(finding, where, text, size);
        return true;
    case VERDICT_READ_MODIFY_WRITE:
        snprintf(text, size, "%s writes back rows that were read without a lock in the same transaction, %s %s: what others write in "
                 "between may be lost", where, count.text, finding->count == 1 ? "time" : "times");
        return true;
    default:
        return false;
    }
}

const char *report_message(struct report *report, const struct report_finding *finding)
{
    char text[1024], where[256], peer[256];
    struct words things;
    say_where(finding, where, sizeof(where));
    say_peer(finding, peer, sizeof(peer));
    words_things(&things, finding->count, thing_of(finding->resource));
    if (finding->resource == STRAY_TEMPFILE) {
        say_left(finding, where, text, sizeof(text));
        return report_keep(report, text);
    }
    if (finding->resource == RESOURCE_PREPARED) {
        say_prepared(finding, where, text, sizeof(text));
        return report_keep(report, text);
    }
    if (say_statement(finding, where, peer, text, sizeof(text)))
        return report_keep(report, text);
    switch (finding->verdict) {
    case VERDICT_FINALIZER_CLOSED:
        snprintf(text, sizeof(text),
                 "%s%s opened by %s %s left to a destructor or the garbage collector to close", things.text,
                 peer, where, finding->count == 1 ? "was" : "were");
        break;
    case VERDICT_CHURN:
        snprintf(text, sizeof(text), "%s opens a connection%s for each use, %s so far, which takes %.0f %% of one thread's time: reuse one", where,
                 peer, things.text, 100 * report_fact(finding, "share_of_time_connecting"));
        break;
    case VERDICT_OPEN_AT_EXIT:
        if (finding->bytes > 0)
            say_kept(finding, where, text, sizeof(text));
        else
            snprintf(text, sizeof(text), "%s%s opened by %s %s still open when the process ended", things.text,
                     peer, where, finding->count == 1 ? "was" : "were");
        break;
    case VERDICT_CLOSE_WAIT:
        snprintf(text, sizeof(text), "the peer closed %s%s %s by %s, and nobody here did", things.text, peer,
                 finding->server ? "accepted" : "opened", where);
        break;
    case VERDICT_RETENTION:
        say_retained(finding, where, text, sizeof(text));
        break;
    case VERDICT_DUPLICATE_POOL:
        snprintf(text, sizeof(text), "%s keeps connections%s beside those opened elsewhere, %.0f in %.0f pools: one pool for all would do",
                 where, peer, report_fact(finding, "pooled_connections"), report_fact(finding, "pools"));
        break;
    case VERDICT_FORK_SHARED:
        say_shared(finding, where, peer, text, sizeof(text));
        break;
    default:
        if (finding->resource == STRAY_CHILD || finding->resource == STRAY_THREAD)
            say_running(finding, where, text, sizeof(text));
        else
            say_leaked(finding, where, peer, text, sizeof(text));
        break;
    }
    return report_keep(report, text);
}
