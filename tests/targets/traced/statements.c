/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Statements by each way that libpq has, with secrets wherever one may stand. Says on standard output what a tracer must
 * have recorded, in order: "sent HOOK TEXT" and "result HOOK STATUS TRANSACTION ROWS-OR-SQLSTATE", tabs between.
 *
 *     statements [SIZE]    SIZE: MiB of the longest one
 *
 * The server is the one of PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
 */
#include "expect.h"
#include "libpq_newer.h"

#include <poll.h>
#include <string.h>

#define SECRET "planted-secret"

static PGconn *conn;

static void sent(const char *hook, const char *text)
{
    printf("sent\t%s\t%s\n", hook, text);
}

/* What libpq itself says of it. */
static void got(const char *hook, PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    char rows[32];
    int count = result ? PQntuples(result) : 0;
    int holds = count > 0 || PQresultStatus(result) == PGRES_TUPLES_OK; /* the one after single rows counts them all, and holds none */
    snprintf(rows, sizeof(rows), "%d", holds || !result ? count : atoi(PQcmdTuples(result)));
    printf("result\t%s\t%d\t%d\t%s\n", hook, result ? (int)PQresultStatus(result) : 15, (int)PQtransactionStatus(conn),
           state ? state : rows);
    PQclear(result);
}

static void all_results(void)
{
    PGresult *result;
    do {
        result = PQgetResult(conn);
        got("PQgetResult", result);
    } while (result);
}

static void execute(const char *query, const char *text)
{
    sent("PQexec", text);
    got("PQexec", PQexec(conn, query));
}

static void texts(void)
{
    execute("SELECT '" SECRET "' AS a, 4711 -- " SECRET, "SELECT $? AS a, $?");
    execute("CREATE TEMP TABLE t (id int PRIMARY KEY, note text DEFAULT '" SECRET "')",
            "CREATE TEMP TABLE t (id int PRIMARY KEY, note text DEFAULT $?)");
    execute("INSERT INTO t VALUES (1, '" SECRET "'), (2, E'" SECRET "\\''), (3, $x$" SECRET "$x$)", "INSERT INTO t VALUES ($?)");
    execute("BEGIN", "BEGIN");
    execute("SELECT note FROM t WHERE id = 2", "SELECT note FROM t WHERE id = $?");
    execute("UPDATE t SET note = '" SECRET "' WHERE id IN (1, 2, 3)", "UPDATE t SET note = $? WHERE id IN ($?)");
    execute("SELECT '" SECRET "'::int", "SELECT $?::int");
    execute("SELECT 1", "SELECT $?");
    execute("ROLLBACK", "ROLLBACK");
    execute("SET application_name TO planted_secret", "SET application_name TO $?");
    execute("BEGIN", "BEGIN");
    execute("ALTER ROLE CURRENT_USER PASSWORD '" SECRET "' /* " SECRET " */; SELECT '{\"" SECRET "\": 1}'::json",
            "ALTER ROLE CURRENT_USER PASSWORD $? ; SELECT $?::json");
    execute("ROLLBACK", "ROLLBACK");
    execute("SELECT '" SECRET, "SELECT $?");
    execute("", "");
}

static void parameters(void)
{
    static const char *const values[] = {SECRET, "2"};
    sent("PQexecParams", "SELECT $1::text, id FROM t WHERE id = $2::int");
    got("PQexecParams", PQexecParams(conn, "SELECT $1::text, id FROM t WHERE id = $2::int", 2, NULL, values, NULL, NULL, 0));
    static const char bytes[] = SECRET "\0\1\2";
    static const char *const binary[] = {bytes};
    static const int lengths[] = {sizeof(bytes)}, formats[] = {1};
    sent("PQexecParams", "SELECT length($1::bytea)");
    got("PQexecParams", PQexecParams(conn, "SELECT length($1::bytea)", 1, NULL, binary, lengths, formats, 1));
    sent("PQprepare", "SELECT $1::text || $?");
    got("PQprepare", PQprepare(conn, "named", "SELECT $1::text || '" SECRET "'", 1, NULL));
    sent("PQexecPrepared", "-");
    got("PQexecPrepared", PQexecPrepared(conn, "named", 1, values, NULL, NULL, 0));
    sent("PQdescribePrepared", "-");
    got("PQdescribePrepared", PQdescribePrepared(conn, "named"));
    sent("PQclosePrepared", "-");
    got("PQclosePrepared", PQclosePrepared(conn, "named"));
}

static void asynchronous(void)
{
    static const char *const values[] = {SECRET};
    sent("PQsendQuery", "SELECT $?; SELECT generate_series($?)");
    MUST(PQsendQuery(conn, "SELECT '" SECRET "'; SELECT generate_series(1, 3)"));
    all_results();
    sent("PQsendQueryParams", "SELECT $1::text");
    MUST(PQsendQueryParams(conn, "SELECT $1::text", 1, NULL, values, NULL, NULL, 0));
    all_results();
    sent("PQsendPrepare", "SELECT $1::text, $?");
    MUST(PQsendPrepare(conn, "later", "SELECT $1::text, 5", 0, NULL));
    all_results();
    sent("PQsendQueryPrepared", "-");
    MUST(PQsendQueryPrepared(conn, "later", 1, values, NULL, NULL, 0));
    all_results();
    sent("PQsendDescribePrepared", "-");
    MUST(PQsendDescribePrepared(conn, "later"));
    all_results();
    sent("PQsendClosePrepared", "-");
    MUST(PQsendClosePrepared(conn, "later"));
    all_results();
    sent("PQsendQuery", "SELECT generate_series($?)");
    MUST(PQsendQuery(conn, "SELECT generate_series(1, 4)") && PQsetSingleRowMode(conn));
    all_results();
    sent("PQsendQuery", "SELECT generate_series($?)");
    MUST(PQsendQuery(conn, "SELECT generate_series(1, 5)") && PQsetChunkedRowsMode(conn, 2));
    all_results();
}

static void portals(void)
{
    execute("BEGIN", "BEGIN");
    execute("DECLARE portal CURSOR FOR SELECT 1", "DECLARE portal CURSOR FOR SELECT $?");
    sent("PQdescribePortal", "-");
    got("PQdescribePortal", PQdescribePortal(conn, "portal"));
    sent("PQsendDescribePortal", "-");
    MUST(PQsendDescribePortal(conn, "portal"));
    all_results();
    sent("PQsendClosePortal", "-");
    MUST(PQsendClosePortal(conn, "portal"));
    all_results();
    execute("DECLARE portal CURSOR FOR SELECT 1", "DECLARE portal CURSOR FOR SELECT $?");
    sent("PQclosePortal", "-");
    got("PQclosePortal", PQclosePortal(conn, "portal"));
    execute("COMMIT", "COMMIT");
}

static void pipeline(void)
{
    MUST(PQenterPipelineMode(conn));
    sent("PQsendQueryParams", "SELECT $1::int");
    MUST(PQsendQueryParams(conn, "SELECT $1::int", 1, NULL, (const char *const[]){"7"}, NULL, NULL, 0));
    sent("PQsendQueryParams", "SELECT $?/$?");
    MUST(PQsendQueryParams(conn, "SELECT 1/0", 0, NULL, NULL, NULL, NULL, 0));
    MUST(PQsendPipelineSync(conn) && PQsendFlushRequest(conn));
    all_results();
    all_results();
    got("PQgetResult", PQgetResult(conn)); /* of the synchronisation */
    MUST(PQexitPipelineMode(conn));
}

static void copies(void)
{
    static const char line[] = "9\t" SECRET "\n";
    char *data;
    execute("COPY t FROM STDIN", "COPY t FROM STDIN");
    MUST(PQputCopyData(conn, line, sizeof(line) - 1) == 1 && PQputCopyEnd(conn, NULL) == 1);
    all_results();
    execute("COPY t TO STDOUT", "COPY t TO STDOUT");
    while (PQgetCopyData(conn, &data, 0) > 0)
        PQfreemem(data);
    all_results();
}

/* Many members, and a text whose string does not end. */
static void large(size_t size)
{
    char *query = malloc(size + 1);
    MUST(query);
    size_t used = (size_t)sprintf(query, "SELECT count(*) FROM t WHERE id IN (0");
    for (int i = 1; i < 1500; i++)
        used += (size_t)sprintf(query + used, ", %d", i);
    strcpy(query + used, ")");
    execute(query, "SELECT count(*) FROM t WHERE id IN ($?)");
    memset(query, 'x', size);
    query[size] = 0;
    memcpy(query, "SELECT '" SECRET, strlen("SELECT '" SECRET));
    execute(query, "SELECT $?");
    free(query);
}

static void wait_for(PGcancelConn *cancel)
{
    MUST(PQcancelStart(cancel) == 1);
    while (PQcancelPoll(cancel) != PGRES_POLLING_OK)
        continue;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    conn = PQconnectdb("application_name=" SECRET);
    MUST(PQstatus(conn) == CONNECTION_OK);
    texts();
    parameters();
    asynchronous();
    portals();
    pipeline();
    copies();
    large((size_t)(argc > 1 ? atoi(argv[1]) : 1) << 20);
    PGcancelConn *cancel = PQcancelCreate(conn);
    wait_for(cancel);
    PQcancelFinish(cancel);
    execute("SELECT 1", "SELECT $?"); /* the cancel may come as late as this */
    PQfinish(conn);
    return 0;
}
