# SPDX-License-Identifier: LGPL-2.1-or-later
"""Verdicts on what is sent to a database: each bad habit is told, with its line, and its healthy twin is not."""
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
HEALTHY = ["asks_once", "asks_many_things", "fetches_a_portion", "lists_few", "commits_first", "locks_and_writes", "lets_the_server_add",
           "compares_versions", "leaves_the_loop", "waits_outside_a_loop"]
VERDICTS = {verdict for verdict, _, _ in BAD.values()}


@pytest.fixture(scope="module")
def report(stray, postgres):
    return stray.run([PYTHON, TARGET], env=postgres.env).ok().report()


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


def test_figures(report):
    loop, = [each for each in about(report, "asks_for_each") if each["verdict"] == "statement-loop"]
    assert (loop["count"], loop["evidence"]["longest_run"], loop["evidence"]["in_transaction"]) == (30, 30, 1)
    result, = about(report, "fetches_all")
    assert result["evidence"]["rows_most"] == 12000
    large, = [each for each in about(report, "lists_all") if each["verdict"] == "large-statement"]
    assert large["evidence"]["members_most"] == 1200
    idle, = [each for each in about(report, "leaves_open") if each["verdict"] == "idle-in-transaction"]
    assert 1.5 <= idle["evidence"]["longest_s"] < 5
    overwrites, = [each for each in about(report, "reads_and_writes") if each["verdict"] == "read-modify-write"]
    assert overwrites["count"] == 6
    blocked, = about(report, "keeps_the_loop")
    assert blocked["call"] == "PQexec" and blocked["evidence"]["longest_s"] >= 0.2


def test_hidden_texts_still_tell_loops(stray, postgres):
    report = stray.run([PYTHON, TARGET, "asks_for_each"], env=postgres.env, options=["--sql", "off"]).ok().report()
    loop, = [finding for finding in report.findings if finding["verdict"] == "statement-loop"]
    assert loop["count"] == 30 and "statement" not in loop
