# SPDX-License-Identifier: LGPL-2.1-or-later
"""Are the statements and connections of each client of libpq counted exactly, and told with the best place there is?"""
import json
import pathlib
import signal

import pytest

from conftest import PYTHON, SOURCES, bare

ROUNDS = 12
SENDS = SOURCES / "python" / "sends.py"
# Where a client has no frames that can be read, the place is where its extension calls libpq.
CLIENTS = {
    "psycopg2": ([PYTHON, SENDS, "psycopg2"], SENDS.name),
    "psycopg": ([PYTHON, SENDS, "psycopg"], SENDS.name),
    "sqlalchemy": ([PYTHON, SENDS, "sqlalchemy"], SENDS.name),
    "perl": (["/usr/bin/perl", SOURCES / "perl" / "sends.pl"], "Pg.so"),
    "ruby": (["/usr/bin/ruby", SOURCES / "ruby" / "sends.rb"], "pg_ext.so"),
    "php": (["/usr/bin/php", SOURCES / "php" / "sends.php"], "pgsql.so"),
}
SENT_AT = {"psycopg2": "cursor.execute(", "psycopg": "cursor.execute(", "sqlalchemy": "connection.execute("}
PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"


def listed(stray, result):
    done = stray.call("sql", result.trace, "--format", "json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)["statements"]


def about(rows, text):
    """The one row of a statement; that of calls with parameters is written in the client's own way."""
    found = [row for row in rows if row["statement"] == text or text == "WHERE" and "generate_series" in row["statement"]
             and row["statement"].endswith("n WHERE n > ?")]
    assert len(found) == 1, (text, [row["statement"] for row in rows])
    return found[0]


def figures(row):
    return row["calls"], row["rows"], row["errors"]


def place(frame):
    """The file's name, or the module's where there is none."""
    return pathlib.Path(frame.get("file") or frame["module"]).name


@pytest.fixture(scope="module", params=[(client, mode) for client in CLIENTS for mode in ("leaks", "closes")], ids="-".join)
def sent(request, stray, postgres):
    client, mode = request.param
    result = stray.run([*CLIENTS[client][0], mode, ROUNDS], env=postgres.env)
    assert result.status == -signal.SIGKILL, (result.status, result.stdout, result.stderr)
    return client, mode, result


def test_statements_are_counted(stray, sent):
    client, mode, result = sent
    rows = listed(stray, result)
    found = [about(rows, text) for text in ("SELECT n FROM generate_series(?) n", "WHERE", "SELECT missing", "SELECT ?")]
    assert [figures(row) for row in found] == [(4, 12, 0), (6, 12, 0), (1, 0, 1), (ROUNDS, ROUNDS, 0)]
    pooled = client == "sqlalchemy" and mode == "closes"
    assert [row["connections"] for row in found] == [1, 1, 1, 1 if pooled else ROUNDS]
    places = {place(site["site"]) for row in found for site in row["sites"]}
    assert places == {CLIENTS[client][1]}
    if client in SENT_AT:
        lines = {SENDS.read_text().splitlines()[site["site"]["line"] - 1] for row in found for site in row["sites"]}
        assert len(lines) == 1 and SENT_AT[client] in lines.pop()


def test_leaks_are_named(sent):
    client, mode, result = sent
    report = result.report()
    leaked = report.find(resource="connection", verdict="leaked")
    if mode == "closes":
        assert not [each for each in report.findings if each["verdict"] != "statement-loop"], report.summary()
        return
    assert [each["count"] for each in leaked] == [ROUNDS] or [each["count"] for each in leaked] == [ROUNDS - 1], report.summary()
    held, = report.find(resource="pgconn", verdict="leaked")
    assert (held["count"], held["caused_by"]) == (leaked[0]["count"], leaked[0]["id"])
    assert place(held["site"]) == CLIENTS[client][1]
    of_results = report.find(resource="pgresult", verdict=("leaked", "creep"))
    assert all(each["caused_by"] == leaked[0]["id"] for each in of_results), report.summary()


def run_pools(stray, postgres, mode):
    report = stray.run([PYTHON, SOURCES / "python" / "pools.py", mode], env=postgres.env).ok().report()
    return report, [(each["severity"], each["site"]["function"]) for each in report.find(verdict="duplicate-pool")]


@pytest.mark.parametrize("mode, function", [("two_engines", "ask_users"), ("two_pools", "pool_of_users")])
def test_two_pools_to_one_database(stray, postgres, mode, function):
    report, found = run_pools(stray, postgres, mode)
    assert found == [("warning", function)], report.summary()
    finding, = report.find(verdict="duplicate-pool")
    assert (finding["count"], finding["evidence"]["pools"], finding["evidence"]["pooled_connections"]) == (2, 2, 4)
    assert finding["peer"] == f"{postgres.peer}/{postgres.env['PGDATABASE']} {postgres.env['PGUSER']}"


@pytest.mark.parametrize("mode", ["one_engine", "other_database", "short_lived"])
def test_one_pool_for_each_database(stray, postgres, mode):
    report, found = run_pools(stray, postgres, mode)
    assert not found, report.summary()


def test_one_connection_beside_a_pool_is_a_note(stray, postgres):
    report, found = run_pools(stray, postgres, "listener")
    assert found == [("note", "listener")], report.summary()


CALLS = ["pthread_cond_wait", "pthread_cond_timedwait", "pthread_cond_clockwait", "sem_wait", "sem_timedwait", "sem_clockwait"]


@pytest.mark.parametrize("call", CALLS)
def test_a_pool_that_threads_wait_for(stray, postgres, target, call):
    """Each of three connections is wanted by eight threads; the wait is made where connections are handed out."""
    result = stray.run([target("target_pool"), "short", call], env=postgres.env).ok()
    finding, = result.report().find(verdict="pool-saturated")
    assert finding["severity"] == "warning" and "pool_get" in [frame["function"] for frame in finding["stack"]], finding
    assert finding["stack"][0]["function"] == f"by_{call}" and finding["count"] >= 3
    assert finding["evidence"]["pooled_connections"] == 3 and 0.5 < finding["evidence"]["share_in_use"] <= 1
    assert finding["peer"] == f"{postgres.peer}/{postgres.env['PGDATABASE']} {postgres.env['PGUSER']}"


@pytest.mark.parametrize("call", ["pthread_cond_wait", "sem_wait"])
@pytest.mark.parametrize("mode", ["enough", "idle"])
def test_a_busy_pool_that_nobody_waits_for(stray, postgres, target, mode, call):
    report = stray.run([target("target_pool"), mode, call], env=postgres.env).ok().report()
    assert not report.find(verdict="pool-saturated"), report.summary()


@pytest.mark.parametrize("mode, function", [("short_engine", "ask_engine"), ("short_pool", "ask_pool")])
def test_threads_of_python_wait_for_a_pool(stray, postgres, mode, function):
    report = stray.run([PYTHON, SOURCES / "python" / "pools.py", mode], env=postgres.env).ok().report()
    finding, = report.find(verdict="pool-saturated")
    assert (finding["severity"], finding["site"]["function"]) == ("warning", function), finding
    assert finding["evidence"]["pooled_connections"] == 2 and finding["count"] >= 3


@pytest.mark.parametrize("mode", ["fitting_engine", "fitting_pool", "jobs_engine", "jobs_pool", "far_pool"])
def test_threads_of_python_wait_for_no_pool(stray, postgres, mode):
    report = stray.run([PYTHON, SOURCES / "python" / "pools.py", mode], env=postgres.env).ok().report()
    assert not report.find(verdict="pool-saturated"), report.summary()


def test_psql(stray, postgres):
    """The system's psql is a script that becomes the program; what it sends is told of the program."""
    commands = ["-c", "SELECT n FROM generate_series(1, 3) n", "-c", "SELECT missing", "-c", "SELECT n FROM generate_series(2, 9) n"]
    result = stray.run(["/usr/bin/psql", "-XqAt", *commands], env=postgres.env).ok()
    assert result.stdout.split() == [*"123", *"23456789"]
    rows = listed(stray, result)
    assert {row["statement"]: figures(row) for row in rows} == {"SELECT n FROM generate_series(?) n": (2, 11, 0), "SELECT missing": (1, 0, 1)}
    assert {place(site["site"]) for row in rows for site in row["sites"]} == {"psql"}
    report = result.report()
    [started] = [index for index, process in enumerate(report.json["processes"]) if process["exe"].endswith("/bin/psql")]
    assert started > 0  # by the script, whose interpreter has the same pid and is not what is asked here
    assert not [each for each in report.findings if each["stack"][-1]["module"].endswith("psql")]


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench(stray, postgres, protocol):
    """What each transaction of TPC-B sends, whether with values, with parameters or by names; and it leaks nothing."""
    assert bare([PGBENCH, "-i", "-q", "-I", "dtgp"], env=postgres.env).returncode == 0
    result = stray.run([PGBENCH, "-n", "-M", protocol, "-c", 2, "-t", 50], env=postgres.env).ok()
    rows = [row for row in listed(stray, result) if row["calls"] > 1]
    touched = {"BEGIN;": 0, "END;": 0, "UPDATE pgbench_accounts": 100, "SELECT abalance": 100, "UPDATE pgbench_tellers": 100,
               "UPDATE pgbench_branches": 100, "INSERT INTO pgbench_history": 100}
    assert len(rows) == len(touched), [row["statement"] for row in rows]
    for begin, count in touched.items():
        row, = [row for row in rows if row["statement"].startswith(begin)]
        assert (figures(row), row["connections"], len(row["sites"])) == ((100, count, 0), 2, 1), row
        assert place(row["sites"][0]["site"]) == "pgbench"
    assert not result.report().findings


LOOP = """
import psycopg
connection = psycopg.connect("")
def each(count):
    for n in range(count):
        connection.execute("SELECT n FROM generate_series(1, 3) n WHERE n > %s", (n,)).fetchall()
each(20)
connection.close()
"""


def test_a_loop_that_takes_several_ways(stray, postgres):
    """psycopg 3 sends the first five in one way, prepares the sixth, and executes the others by name: one loop all the same."""
    report = stray.run([PYTHON, "-c", LOOP], env=postgres.env).ok().report()
    loop, = [finding for finding in report.findings if finding["verdict"] == "statement-loop"]
    assert (loop["count"], loop["evidence"]["longest_run"], loop["site"]["function"]) == (20, 20, "each")
