# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is sent to a database: each bad habit is told, with its line, its healthy twin is not, and the list of statements."""
import json

import pytest

from conftest import PYTHON, SOURCES

TARGET = SOURCES / "python" / "statements.py"
BAD = {
    # who is blamed: the frame that calls cursor.execute is the helper run(), named by the innermost frame of one's own
    "asks_for_each": ("statement-loop", "warning", "SELECT name FROM items WHERE id = ?"),
    "fetches_all": ("unbounded-result", "warning", "SELECT * FROM items"),
    "lists_all": ("large-statement", "warning", "SELECT count(*) FROM items WHERE id IN (?)"),
    "leaves_open": ("idle-in-transaction", "warning", "SELECT name FROM items WHERE id = ?"),
    "reads_and_writes": ("read-modify-write", "warning", "UPDATE items SET version = ? WHERE id = ?"),
    "keeps_the_loop": ("blocked-event-loop", "error", None),
}
HEALTHY = ["asks_once", "asks_many_things", "asks_page_by_page", "writes_in_batches", "sends_ahead", "streams_all", "sends_an_array",
           "fetches_a_portion", "lists_few", "commits_first", "locks_and_writes", "lets_the_server_add",
           "compares_versions", "leaves_the_loop", "waits_outside_a_loop"]
VERDICTS = {verdict for verdict, _, _ in BAD.values()}


OTHERS = ["holds_all", "lets_go"]
AT_ONCE = """
pids=()
for names in "${@:2}"; do "$0" "$1" $names & pids+=($!); done
for pid in "${pids[@]}"; do wait "$pid" || exit; done
"""


@pytest.fixture(scope="module")
def result(stray, postgres):
    """A second passes between two functions, so that one is not taken for a part of the other: some run beside each other."""
    names = [*BAD, *HEALTHY, *OTHERS]
    return stray.run(["bash", "-c", AT_ONCE, PYTHON, TARGET, *(" ".join(names[i::4]) for i in range(4))], env=postgres.env).ok()


@pytest.fixture(scope="module")
def report(result):
    return result.report()


@pytest.fixture(scope="module")
def took(result):
    """At most so many seconds, by function, as the target says."""
    return {function: seconds for line in result.stdout.splitlines() for function, seconds in json.loads(line).items()}


def about(report, function):
    """Findings on statements whose stack goes through the function."""
    return [finding for finding in report.findings if finding["verdict"] in VERDICTS
            and function in (frame["function"] for frame in finding["stack"])]


@pytest.mark.parametrize("function", BAD)
def test_bad_habits_are_told(report, function):
    verdict, severity, statement = BAD[function]
    found = [finding for finding in about(report, function) if finding["verdict"] == verdict]
    assert len(found) == 1, report.summary()
    assert (found[0]["severity"], found[0].get("statement")) == (severity, statement), found[0]
    assert found[0]["site"]["file"] == str(TARGET)


@pytest.mark.parametrize("function", HEALTHY)
def test_healthy_twins_are_not_accused(report, function):
    loud = [finding for finding in about(report, function) if finding["severity"] != "note"]
    assert not loud, [(finding["verdict"], finding["message"]) for finding in loud]


def test_figures(report, took):
    loop, = [each for each in about(report, "asks_for_each") if each["verdict"] == "statement-loop"]
    assert (loop["count"], loop["evidence"]["longest_run"], loop["evidence"]["in_transaction"]) == (30, 30, 1)
    result, = about(report, "fetches_all")
    assert result["evidence"]["rows_most"] == 12000
    large, = [each for each in about(report, "lists_all") if each["verdict"] == "large-statement"]
    assert large["evidence"]["members_most"] == 1200
    idle, = [each for each in about(report, "leaves_open") if each["verdict"] == "idle-in-transaction"]
    assert 1.5 <= idle["evidence"]["longest_s"] <= took["leaves_open"]
    overwrites, = [each for each in about(report, "reads_and_writes") if each["verdict"] == "read-modify-write"]
    assert overwrites["count"] == 6
    blocked, = about(report, "keeps_the_loop")
    assert blocked["call"] == "PQexec" and blocked["evidence"]["longest_s"] >= 0.2


def test_rows_that_come_one_by_one_are_counted_once(stray, postgres):
    result = stray.run([PYTHON, TARGET, "streams_all"], env=postgres.env).ok()
    row, = [row for row in listed(stray, result.trace) if row["statement"].startswith("SELECT n,")]
    assert (row["calls"], row["rows"]) == (1, 12000)


def test_how_long_a_large_result_is_held(report, took):
    """Both are unbounded; what the one does with its 12 MB afterwards is told besides."""
    held, let_go = ([each for each in about(report, function) if each["verdict"] == "unbounded-result"][0]["evidence"]["held_s"]
                    for function in ("holds_all", "lets_go"))
    assert held >= 1.5 and let_go <= took["lets_go"]
    small, = [each for each in about(report, "fetches_all") if each["verdict"] == "unbounded-result"]
    assert "held_s" not in small["evidence"], "of less than 8 MiB it is not asked"


def test_hidden_texts_still_tell_loops(stray, postgres):
    report = stray.run([PYTHON, TARGET, "asks_for_each"], env=postgres.env, options=["--sql", "off"]).ok().report()
    loop, = [finding for finding in report.findings if finding["verdict"] == "statement-loop"]
    assert loop["count"] == 30 and "statement" not in loop


def listed(stray, trace, *options):
    done = stray.call("sql", trace, "--format", "json", *options)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    content = json.loads(done.stdout)
    assert content["schema"] == "stray-sql/1"
    return content["statements"]


@pytest.fixture(scope="module")
def several(stray, postgres):
    """Two processes that send the same, written in two ways; one of them fails."""
    script = """
import psycopg2
for turn in range(2):
    connection = psycopg2.connect("")
    cursor = connection.cursor()
    def once(n): cursor.execute("SELECT n FROM generate_series(1, %s) n", (n,))
    def other(n): cursor.execute("select  n from generate_series(1,%s) n", (n,))
    for n in range(1, 5): once(n)
    other(10)
    try: cursor.execute("SELECT missing")
    except psycopg2.Error: pass
    connection.close()
"""
    return stray.run(["bash", "-c", '"$0" -c "$1"; "$0" -c "$1"', PYTHON, script], env=postgres.env).ok()


def test_sql_adds_up_what_means_the_same(stray, several):
    rows = listed(stray, several.trace)
    series, = [row for row in rows if "generate_series" in row["statement"]]
    assert (series["calls"], series["rows"], series["errors"], series["connections"]) == (20, 4 * (1 + 2 + 3 + 4 + 10), 0, 8)
    assert [(site["site"]["function"].rsplit(".")[-1], site["calls"]) for site in series["sites"]] == [("once", 16), ("other", 4)]
    missing, = [row for row in rows if row["statement"] == "SELECT missing"]
    assert (missing["calls"], missing["rows"], missing["errors"]) == (4, 0, 4)
    assert [row["total_s"] for row in rows] == sorted((row["total_s"] for row in rows), reverse=True)


def test_hidden_texts_are_added_up_over_processes(stray, postgres):
    """Definitions are numbered by each process as it meets texts: the second one meets them the other way round."""
    script = """
import sys, psycopg2
cursor = psycopg2.connect("").cursor()
texts = ["SELECT 1", "SELECT 1, 2", "SELECT 1, 2, 3"]
for times, text in sorted(zip((2, 3, 4), texts), reverse=sys.argv[1] == "back"):
    for _ in range(times): cursor.execute(text)
"""
    result = stray.run(["bash", "-c", '"$0" -c "$1" forth; "$0" -c "$1" back', PYTHON, script], env=postgres.env,
                       options=["--sql", "off"]).ok()
    rows = listed(stray, result.trace)
    assert sorted(row["calls"] for row in rows if row["calls"] > 2) == [4, 6, 8], rows
    assert len(rows) == len({row["fingerprint"] for row in rows})


def test_sql_filters(stray, several, postgres):
    assert [row["rows"] for row in listed(stray, several.trace, "--site", "other")] == [80]
    assert len(listed(stray, several.trace, "--sort", "calls", "--limit", 1)) == 1
    assert all(row["calls"] >= 20 for row in listed(stray, several.trace, "--min", 20))
    rows = listed(stray, several.trace)
    assert all(row["peers"] == [postgres.peer] for row in rows) and "BEGIN" in {row["statement"] for row in rows}
    assert listed(stray, several.trace, "--peer", postgres.peer, "--resource", "pgconn") == rows
    assert listed(stray, several.trace, "--peer", "elsewhere") == []
    for wrong in (("--resource", "heap"), ("--sort", "nothing")):
        done = stray.call("sql", several.trace, *wrong)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr


def test_sql_in_text_is_one_line_each(stray, several):
    done = stray.call("sql", several.trace)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1 + len(listed(stray, several.trace)), done.stdout


def test_sql_of_what_sent_nothing(stray):
    result = stray.run(["true"]).ok()
    assert listed(stray, result.trace) == []


LOOPS = SOURCES / "python" / "loops.py"
KEEP_LOOPS = {  # the innermost call that waits; who is blamed
    "connects": "connect",
    "connects_with_a_limit": "poll",
    "asks_redis": "recv",
    "asks_redis_with_a_limit": "poll",
    "asks_the_database": "select",
}


@pytest.fixture(scope="module")
def loops(stray, postgres, redis):
    return stray.run([PYTHON, LOOPS], env={**postgres.env, **redis.env}).ok().report()


@pytest.mark.parametrize("function", KEEP_LOOPS)
def test_what_keeps_an_event_loop_is_told(loops, function):
    found = [each for each in loops.find(verdict="blocked-event-loop") if function in (frame["function"] for frame in each["stack"])]
    assert [(each["call"], each["severity"], each["site"]["file"]) for each in found] == [(KEEP_LOOPS[function], "error", str(LOOPS))], \
        (found, loops.summary())


def test_what_waits_aside_does_not_keep_it(loops):
    functions = {frame["function"] for each in loops.find(verdict="blocked-event-loop") for frame in each["stack"]}
    assert functions & set(KEEP_LOOPS) == set(KEEP_LOOPS)
    assert not functions & {"connects_aside", "asks_redis_aside", "asks_the_database_aside", "is_stopped_amid_calls_that_never_wait",
                            "outside_a_loop"}, loops.summary()
    assert len(loops.find(verdict="blocked-event-loop")) == len(KEEP_LOOPS)
