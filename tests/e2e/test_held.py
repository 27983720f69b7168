# SPDX-License-Identifier: LGPL-2.1-or-later
"""Are large results that nobody needs any more told at the line that asked for them, and none that are read or cleared?"""
import subprocess

import pytest

from conftest import PYTHON, SOURCES, TIMEOUT

HELD = SOURCES / "python" / "held.py"
MODES = ["keeps_one", "keeps_three", "closes", "reads"]


@pytest.fixture(scope="module")
def reports(stray, postgres, target):
    """All at once: each takes 12 s."""
    commands = {**{mode: [PYTHON, HELD, mode] for mode in MODES}, "c": [target("target_habits"), "held"]}
    running = {mode: stray.start(command, env=postgres.env, stdout=subprocess.DEVNULL) for mode, command in commands.items()}
    for mode, process in running.items():
        assert process.wait(TIMEOUT) == 0, mode
    return {mode: stray.report(process.trace) for mode, process in running.items()}


@pytest.mark.parametrize("mode, count, severity", [("keeps_one", 1, "note"), ("keeps_three", 3, "warning")])
def test_a_cursor_that_is_not_closed(reports, mode, count, severity):
    finding, = reports[mode].find(verdict="held-result")
    assert (finding["site"]["function"], finding["resource"], finding["severity"]) == ("loads_and_keeps", "pgresult", severity)
    assert "cursor.execute(LARGE)" in HELD.read_text().splitlines()[finding["site"]["line"] - 1]
    assert (finding["count"], finding["evidence"]["rows_most"], finding["evidence"]["outlived_the_next"]) == (count, 12000, count - 1)
    assert finding["bytes"] >= 12000 * 1000 and finding["evidence"]["held_s"] >= finding["evidence"]["kept_after_s"] >= 10


@pytest.mark.parametrize("mode", ["closes", "reads"])
def test_results_that_are_closed_or_read(reports, mode):
    assert not reports[mode].find(resource="pgresult"), reports[mode].summary()


def test_a_result_of_c_that_is_not_cleared(reports):
    finding, = reports["c"].find(resource="pgresult")
    assert (finding["verdict"], finding["severity"], finding["count"], finding["evidence"]["outlived_the_next"]) == \
        ("held-result", "warning", 3, 2), finding
    assert "forgets_result" in [frame["function"] for frame in finding["stack"]]
    functions = {frame["function"] for each in reports["c"].findings for frame in each["stack"]}
    assert not functions & {"clears_result", "reads_for_long"}, reports["c"].summary()


def test_failed_connects_that_are_forgotten(stray, postgres, target):
    """By PQconnectdb, in a loop that tries again until it succeeds, and by polling; their twins call PQfinish."""
    report = stray.run([target("target_habits"), "failed"], env=postgres.env).ok().check().report()
    found = {each["site"]["function"]: each for each in report.find(resource="pgconn")}
    assert {function: (each["verdict"], each["severity"], each["count"]) for function, each in found.items()} == \
        {"forgets_failed": ("leaked", "error", 12), "retries": ("leaked", "error", 36), "polled": ("leaked", "error", 12)}, report.summary()
    assert {each["peer"] for each in found.values()} == {f"127.0.0.1:1/nobody {postgres.env['PGUSER']}"}
    assert "polls_and_forgets" in [frame["function"] for frame in found["polled"]["stack"]]
    sockets = {each["id"] for each in report.find(resource="socket", verdict="leaked")}
    assert len(sockets) == 3 and {each["caused_by"] for each in found.values()} == sockets
    assert all(each.get("caused_by") in sockets for each in report.find(resource="heap")), report.summary()
    functions = {frame["function"] for each in report.findings for frame in each["stack"]}
    assert not functions & {"finishes_failed", "retries_well", "polls_and_finishes"}, report.summary()
