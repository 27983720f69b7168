#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""psycopg2_api.py: drives psycopg2 through its whole interface and prints what it answered, the same in every run.

The server is the one of the PG* variables. What differs from run to run (pids, addresses, ports, times) is never printed.
"""
import datetime
import decimal
import gc
import io
import json
import os
import select
import sys
import threading
import time
import uuid
import warnings

import psycopg2
import psycopg2.errors
import psycopg2.extensions as ext
import psycopg2.extras as extras
import psycopg2.pool
import psycopg2.sql as sql
import psycopg2.tz

PARTS = []


def part(function):
    PARTS.append(function)
    return function


def say(*words):
    print(*[word if isinstance(word, str) else repr(word) for word in words], flush=True)


def fails(call, *arguments, **keywords):
    """Says how a call failed; messages of the server are part of the answer."""
    try:
        say("no error:", call(*arguments, **keywords))
    except Exception as error:
        code, diag = getattr(error, "pgcode", None), getattr(error, "diag", None)
        say(type(error).__name__, [base.__name__ for base in type(error).__mro__[1:4]], code, diag and diag.severity,
            diag and diag.message_primary, diag and diag.constraint_name, str(error).splitlines()[:1] if code else "")


def connect(**keywords):
    return psycopg2.connect("", **keywords)


def wait(connection):
    """The loop of an asynchronous connection."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        state = connection.poll()
        if state == ext.POLL_OK:
            return
        ready = ([connection], [], []) if state == ext.POLL_READ else ([], [connection], [])
        select.select(*ready, 10)
    raise TimeoutError


@part
def module():
    say(psycopg2.apilevel, psycopg2.threadsafety, psycopg2.paramstyle, psycopg2.__libpq_version__, ext.libpq_version())
    say(sorted(name for name in dir(psycopg2) if not name.startswith("_")))
    say(ext.make_dsn("host=here dbname=x", user="someone", port=5), ext.parse_dsn("postgresql://u@h:7/d?connect_timeout=9"))
    fails(ext.parse_dsn, "nonsense")
    fails(psycopg2.connect, "host=127.0.0.1 port=1 connect_timeout=5 user=nobody dbname=x")
    fails(psycopg2.connect, "", user="no_such_user", password="wrong")
    fails(psycopg2.connect, nonsense=1)
    say(ext.encrypt_password("secret", "someone", algorithm="md5"))
    say(ext.quote_ident('a "name"', connect()))


@part
def connections():
    connection = connect(application_name="api")
    say(connection.closed, connection.status, connection.autocommit, connection.isolation_level, connection.readonly,
        connection.deferrable, connection.encoding, connection.async_, connection.protocol_version, connection.server_version // 10000)
    say(connection.get_parameter_status("server_encoding"), connection.get_parameter_status("nothing"), connection.get_transaction_status())
    say(connection.info.dbname, connection.info.user, connection.info.host, connection.info.status, connection.info.transaction_status,
        connection.info.ssl_in_use, connection.info.needs_password, connection.info.used_password, connection.info.options,
        sorted(connection.info.dsn_parameters.keys() - {"krbsrvname", "gssencmode", "passfile"}),
        connection.info.parameter_status("application_name"), connection.info.backend_pid > 0, connection.fileno() > 2,
        connection.get_backend_pid() > 0, connection.info.socket == connection.fileno(), connection.info.error_message)
    connection.set_client_encoding("LATIN1")
    say(connection.encoding)
    connection.set_client_encoding("UTF8")
    for level in (ext.ISOLATION_LEVEL_SERIALIZABLE, ext.ISOLATION_LEVEL_READ_COMMITTED, "repeatable read", None):
        connection.set_session(isolation_level=level, readonly=level is None)
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            say(cursor.fetchone(), connection.isolation_level)
    connection.set_session(readonly=False, autocommit=True)
    say(connection.autocommit)
    connection.autocommit = False
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    say(connection.status == ext.STATUS_BEGIN, connection.get_transaction_status() == ext.TRANSACTION_STATUS_INTRANS)
    connection.rollback()
    cursor.execute("SET application_name = 'other'")
    connection.commit()
    connection.reset()
    say(connection.get_parameter_status("application_name"))
    say(connection.cursor_factory, connection.string_types, connection.binary_types, connection.notices, connection.notifies)
    connection.close()
    connection.close()
    fails(connection.cursor)
    fails(cursor.execute, "SELECT 1")
    say(connection.closed, connection.status)


@part
def cursors():
    with connect() as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE t (n int PRIMARY KEY, word text, at timestamptz, raw bytea, list int[], price numeric, j jsonb)")
            rows = [(n, f"wörd-{n}'\"\\", datetime.datetime(2020, 1, 1 + n, tzinfo=datetime.timezone.utc), bytes(range(n)), [n, None, n + 1],
                     decimal.Decimal(n) / 7, extras.Json({"n": n})) for n in range(8)]
            cursor.executemany("INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s, %s)", rows)
            say(cursor.rowcount, cursor.statusmessage, cursor.query[:20], cursor.description)
            cursor.execute("SELECT * FROM t ORDER BY n")
            say([(column.name, column.type_code, column.internal_size, column.precision, column.scale, column.null_ok)
                 for column in cursor.description])
            say(cursor.rowcount, cursor.rownumber, cursor.arraysize, cursor.itersize, cursor.name, cursor.scrollable, cursor.withhold)
            say(cursor.fetchone()[:2], cursor.fetchmany(2)[1][1], cursor.rownumber)
            cursor.scroll(-2)
            say(cursor.fetchone()[0])
            cursor.scroll(6, mode="absolute")
            say([(row[0], row[1], row[2].isoformat(), bytes(row[3]), row[4], row[5], row[6]) for row in cursor])
            fails(cursor.scroll, 99)
            say(cursor.fetchone(), cursor.fetchall())
            say(cursor.mogrify("SELECT %s, %s", ("it's", None)))
            say(cursor.mogrify("SELECT %(a)s %%", {"a": [1, "x"]}))
            fails(cursor.execute, "SELECT %s", ())
            fails(cursor.execute, "SELECT %(x)s", {})
            fails(cursor.execute, "SELECT nothing")
            fails(cursor.execute, "SELECT 1")  # in a failed transaction
            connection.rollback()
            fails(cursor.fetchall)
            fails(cursor.callproc, "no_such_function", (1,))
            connection.rollback()
            cursor.callproc("upper", ("abc",))
            say(cursor.fetchall())
            cursor.callproc("make_date", {"year": 2021, "month": 2, "day": 3})
            say(cursor.fetchall())
            say(cursor.cast(23, "12"), cursor.pgresult_ptr is not None)
            fails(cursor.nextset)
            fails(cursor.setinputsizes, None)
            cursor.setinputsizes([]), cursor.setoutputsize(1)


@part
def named_cursors():
    with connect() as connection:
        with connection.cursor("forward") as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT generate_series(1, 50)")
            say(sum(row[0] for row in cursor), cursor.description[0].name, cursor.rowcount)
        with connection.cursor("both", scrollable=True) as cursor:
            cursor.execute("SELECT generate_series(1, 50)")
            cursor.scroll(10)
            say(cursor.fetchone())
            cursor.scroll(-5)
            say(cursor.fetchmany(3), cursor.fetchone())
            cursor.scroll(0, "absolute")
            say(len(cursor.fetchall()))
        with connection.cursor("never", scrollable=False) as cursor:
            cursor.execute("SELECT 1")
            fails(cursor.scroll, -1)
    connection = connect()
    held = connection.cursor("held", withhold=True)
    held.execute("SELECT generate_series(1, 5)")
    connection.commit()
    say(held.fetchall())
    held.close()
    fails(connection.cursor("twice").executemany, "SELECT 1", [()])
    connection.close()


@part
def kinds_of_cursors():
    with connect() as connection:
        for factory in (extras.DictCursor, extras.RealDictCursor, extras.NamedTupleCursor):
            with connection.cursor(cursor_factory=factory) as cursor:
                cursor.execute("SELECT 1 AS one, 'x' AS two UNION ALL SELECT 2, 'y'")
                row = cursor.fetchone()
                say(factory.__name__, row, len(row), list(row), cursor.fetchall())
    log = io.StringIO()
    connection = psycopg2.connect("", connection_factory=extras.LoggingConnection)
    connection.initialize(log)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s", (5,))
    say(log.getvalue())
    connection.close()

    class Mine(ext.connection):
        def cursor(self, *arguments, **keywords):
            say("a cursor of mine")
            return super().cursor(*arguments, **keywords)
    connection = psycopg2.connect("", connection_factory=Mine)
    connection.cursor().close()
    connection.close()


@part
def copy():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE c (n int, word text)")
        cursor.copy_from(io.StringIO("".join(f"{n}\tword {n}\n" for n in range(5000))), "c")
        say(cursor.rowcount)
        cursor.copy_from(io.BytesIO(b"7;\\N\n8;null\n"), "c", sep=";", null="null", columns=("n", "word"), size=5)
        out = io.StringIO()
        cursor.copy_to(out, "c", columns=["word", "n"])
        say(len(out.getvalue()), out.getvalue().splitlines()[-2:])
        out = io.BytesIO()
        cursor.copy_expert("COPY (SELECT n FROM c WHERE n < 4 ORDER BY n) TO STDOUT WITH CSV HEADER", out)
        say(out.getvalue())
        cursor.copy_expert("COPY c FROM STDIN WITH CSV", io.StringIO('1,"a, b"\n'))
        say(cursor.rowcount)
        cursor.execute("SAVEPOINT s")
        fails(cursor.copy_from, io.StringIO("not a number\tx\n"), "c")
        cursor.execute("ROLLBACK TO s")

        class Broken(io.StringIO):
            def read(self, size=-1):
                raise ValueError("cannot be read")
        fails(cursor.copy_from, Broken(), "c")
        cursor.execute("ROLLBACK TO s")

        class Full(io.StringIO):
            def write(self, text):
                raise ValueError("cannot be written")
        fails(cursor.copy_to, Full(), "c")
    connection.close()


@part
def large_objects():
    connection = connect()
    big = connection.lobject(0, "wb")
    oid = big.oid
    say(big.mode, big.closed, big.write(b"0123456789" * 1000), big.tell(), big.seek(-4, 2), big.write(b"last"))
    big.truncate(9999)
    big.close()
    say(big.closed)
    read = connection.lobject(oid, "rb")
    say(read.read(4), read.tell(), read.seek(0, 2), read.seek(9990), read.read(), read.read())
    read.close()
    fails(read.read)
    text = connection.lobject(oid, "rt")
    say(text.read(3), text.mode)
    path = f"/tmp/psycopg2-api-{os.getpid()}"
    text.export(path)
    say(os.path.getsize(path))
    text.close()
    copied = connection.lobject(0, "r", 0, path)
    say(len(copied.read()))
    copied.unlink()
    os.unlink(path)
    connection.lobject(oid).unlink()
    connection.commit()
    fails(connection.lobject, oid, "r")
    connection.rollback()
    connection.autocommit = True
    fails(connection.lobject)
    connection.close()


@part
def asynchronous():
    connection = connect(async_=1)
    wait(connection)
    say(connection.async_, connection.autocommit, connection.isexecuting())
    cursor = connection.cursor()
    cursor.execute("SELECT pg_sleep(0.05), 42")
    say(connection.isexecuting())
    fails(cursor.execute, "SELECT 1")
    fails(cursor.fetchone)
    wait(connection)
    say(cursor.fetchall()[0][1], connection.isexecuting())
    for refused in (connection.commit, connection.rollback, connection.reset, connection.lobject):
        fails(refused)
    fails(cursor.executemany, "SELECT 1", [])
    fails(cursor.copy_from, io.StringIO(), "t")
    fails(connection.cursor, "named")
    cursor.execute("SELECT broken")
    fails(wait, connection)
    connection.close()
    failing = connect(async_=1, user="no_such_user", password="wrong")
    fails(wait, failing)
    failing.close()


@part
def green():
    ext.set_wait_callback(extras.wait_select)
    try:
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT generate_series(1, 3)")
            say(cursor.fetchall(), ext.get_wait_callback() is extras.wait_select)
            fails(cursor.copy_from, io.StringIO("1\n"), "t")
        connection.close()
    finally:
        ext.set_wait_callback(None)


@part
def notifications():
    listening, notifying = connect(), connect()
    listening.autocommit = notifying.autocommit = True
    listening.cursor().execute("LISTEN news")
    for n in range(3):
        notifying.cursor().execute(f"NOTIFY news, 'number {n}'")
    deadline = time.monotonic() + 30
    while len(listening.notifies) < 3 and time.monotonic() < deadline:
        select.select([listening], [], [], 5)
        listening.poll()
    say([(notice.channel, notice.payload, notice.pid == notifying.get_backend_pid()) for notice in listening.notifies])
    say(ext.Notify(1, "a", "b"), ext.Notify(1, "a") == (1, "a"), len({ext.Notify(1, "a"), ext.Notify(1, "a")}))
    notifying.cursor().execute("DO $$ BEGIN FOR i IN 1..60 LOOP RAISE NOTICE 'notice %', i; END LOOP; END $$")
    say(len(notifying.notices), notifying.notices[-1])
    listening.close(), notifying.close()


@part
def cancelling():
    connection = connect()
    timer = threading.Timer(0.2, connection.cancel)
    timer.start()
    fails(connection.cursor().execute, "SELECT pg_sleep(60)")
    timer.join()
    connection.rollback()
    other = connect()
    other.autocommit = True
    pid = connection.get_backend_pid()
    other.cursor().execute("SELECT pg_terminate_backend(%s)", (pid,))
    time.sleep(0.2)
    try:
        connection.cursor().execute("SELECT 1")
    except psycopg2.Error as error:
        say(type(error).__name__, connection.closed)
    connection.close(), other.close()


@part
def two_phases():
    connection = connect()
    xid = connection.xid(1, "gtrid", "bqual")
    say(xid, tuple(xid), xid.format_id, xid.gtrid, xid.bqual, xid.prepared, xid.owner, ext.Xid.from_string(str(xid)))
    connection.tpc_begin(xid)
    connection.cursor().execute("SELECT 1")
    fails(connection.commit)
    fails(connection.tpc_prepare)  # the server does not allow it
    say(connection.status)
    connection.tpc_rollback() if connection.status == ext.STATUS_PREPARED else connection.close()
    connection = connect()
    connection.tpc_begin("one phase")
    connection.cursor().execute("SELECT 1")
    connection.tpc_commit()
    say(connection.tpc_recover(), connection.status)
    connection.close()


@part
def adapters():
    with connect() as connection, connection.cursor() as cursor:
        def through(value, kind=""):
            cursor.execute("SELECT %s" + kind, (value,))
            back = cursor.fetchone()[0]
            return bytes(back) if isinstance(back, memoryview) else back
        extras.register_uuid()
        moment = datetime.datetime(2021, 2, 3, 4, 5, 6, 789, tzinfo=psycopg2.tz.FixedOffsetTimezone(offset=90, name="x"))
        cursor.execute("SET timezone TO 'UTC'")
        for value in (1, -2 ** 40, 10 ** 30, 1.5, float("inf"), float("nan"), decimal.Decimal("1.10"), True, None, "täxt", b"\x00\xff", [1, 2],
                      [["a"], ["b"]], moment, moment.date(), moment.time(), datetime.timedelta(days=2, seconds=5), uuid.UUID(int=7),
                      psycopg2.Date(2020, 1, 2), psycopg2.Binary(b"x"), psycopg2.DateFromTicks(0), extras.Inet("10.0.0.1")):
            say(type(value).__name__, str(through(value)))
        say(cursor.mogrify("%s", ((1, "a"),)))
        say(through(extras.NumericRange(1, 5)), through("[2020-01-01,2020-02-01)", "::daterange"), through("empty", "::int4range"))
        say(through(extras.Json([1, {"a": None}])), through('{"x": [1.5]}', "::jsonb"), through('{1,NULL}', "::int[]"))
        extras.register_default_jsonb(connection, loads=lambda text: "loaded " + text)
        say(through('[1]', "::jsonb"))
        cursor.execute("DROP TYPE IF EXISTS public.api_pair; CREATE TYPE public.api_pair AS (a int, b text)")
        extras.register_composite("api_pair", cursor)
        say(through("(1,x)", "::api_pair"))
        fails(extras.register_hstore, connection)

        class Point:
            def __init__(self, x, y):
                self.x, self.y = x, y
        ext.register_adapter(Point, lambda point: ext.AsIs("'(%s, %s)'" % (point.x, point.y)))
        say(through(Point(1, 2), "::point"))
        POINT = ext.new_type((600,), "POINT", lambda value, cursor: value and tuple(map(float, value[1:-1].split(","))))
        ext.register_type(POINT, cursor)
        say(through(Point(3, 4), "::point"), POINT.name, POINT.values)
        ext.register_type(ext.new_array_type((1017,), "POINT[]", POINT), connection)
        say(through('{"(1,2)","(3,4)"}', "::point[]"))
        fails(through, object())
        say(ext.adapt("it's").getquoted(), ext.QuotedString("u").getquoted(), ext.Float(1.25).getquoted(),
            ext.Binary(b"ab\\").getquoted(), ext.AsIs(5).getquoted())
        say(psycopg2.STRING == 25, psycopg2.NUMBER == 23, psycopg2.DATETIME == 1114, psycopg2.BINARY == 17, psycopg2.ROWID == 26)
        infinite = through("infinity", "::text")
        say(infinite)
        fails(through, "infinity", "::date")
        fails(through, "a\x00b")
    connection.close()


@part
def composition():
    with connect() as connection, connection.cursor() as cursor:
        statement = sql.SQL("SELECT {} FROM (VALUES (1, 'it''s')) AS {} ({}) WHERE {} = {} AND {} > %(low)s").format(
            sql.SQL(", ").join(map(sql.Identifier, ("n", 'odd "name"'))), sql.Identifier("t"),
            sql.SQL(", ").join([sql.Identifier("n"), sql.Identifier('odd "name"')]), sql.Identifier('odd "name"'), sql.Literal("it's"),
            sql.Identifier("t", "n"))
        say(statement, statement.as_string(connection))
        cursor.execute(statement, {"low": 0})
        say(cursor.fetchall(), sql.Placeholder("x").as_string(cursor), sql.Composed([sql.SQL("a")]) + sql.SQL("b"))
        fails(sql.SQL("{}").format, 1)


@part
def batches():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE b (n int, word text)")
        extras.execute_batch(cursor, "INSERT INTO b VALUES (%s, %s)", [(n, str(n)) for n in range(250)], page_size=100)
        say(extras.execute_values(cursor, "INSERT INTO b VALUES %s RETURNING n", [(n, "v") for n in range(250, 400)], page_size=60,
                                  fetch=True)[-1], cursor.rowcount)
        cursor.execute("SELECT count(*), sum(n) FROM b")
        say(cursor.fetchone())
    connection.close()


@part
def errors():
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE e (n int PRIMARY KEY CHECK (n < 10), o int NOT NULL)")
    connection.commit()
    for statement in ("INSERT INTO e VALUES (11, 1)", "INSERT INTO e VALUES (1, NULL)", "INSERT INTO e VALUES (1, 1), (1, 1)", "SELEC 1",
                      "SELECT 1/0", "SELECT 'x'::int", "SELECT * FROM missing", "SELECT missing()", "SELECT 99999999999::int4",
                      "SELECT '\\xff'::bytea::text::json", "DO $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = '12345'; END $$", "", " ;"):
        fails(cursor.execute, statement)
        connection.rollback()
    say(psycopg2.errors.lookup("23505").__name__, psycopg2.errors.UniqueViolation.__mro__[1].__name__)
    fails(psycopg2.errors.lookup, "xxxxx")
    try:
        cursor.execute("SELECT 1/0")
    except psycopg2.errors.DivisionByZero as error:
        say(error.pgcode, error.cursor is cursor, error.diag.source_function, error.diag.sqlstate)
    connection.close()


@part
def pools():
    for factory in (psycopg2.pool.SimpleConnectionPool, psycopg2.pool.ThreadedConnectionPool):
        pool = factory(1, 3, "")
        held = [pool.getconn() for _ in range(3)]
        try:
            pool.getconn()
        except psycopg2.pool.PoolError as error:
            say(error)
        pool.putconn(held[0])
        say(pool.getconn(key="mine") is held[0])
        pool.putconn(held[1], close=True)
        pool.putconn(held[2])
        say(held[1].closed, held[2].closed, pool.closed)
        pool.closeall()
        say(pool.closed, held[0].closed)


@part
def threads():
    connection = connect()
    results = []

    def work(n):
        with connection.cursor() as cursor:
            for i in range(30):
                cursor.execute("SELECT %s + %s", (n, i))
                results.append(cursor.fetchone()[0])
    started = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    say(sum(results), len(results))
    connection.close()


@part
def finalizers():
    before = connect()
    with before.cursor() as cursor:
        connections = [connect(application_name="to-be-collected") for _ in range(5)]
        cursors = [connection.cursor() for connection in connections]
        for each in cursors:
            each.execute("SELECT generate_series(1, 100)")
        del each, connections, cursors
        gc.collect()
        for _ in range(100):
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'to-be-collected'")
            left = cursor.fetchone()[0]
            if left == 0:
                break
            before.rollback()
            time.sleep(0.05)
        say(left)
    before.close()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for function in PARTS:
        say("==", function.__name__)
        function()
    say(json.dumps({"parts": len(PARTS)}))
    sys.exit(0)
