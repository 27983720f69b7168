# SPDX-License-Identifier: LGPL-2.1-or-later
"""Are names of prepared statements that pile up in the server told at their line, and none that are given up or used again?"""
import json

import pytest

from conftest import PYTHON, SOURCES

TARGET = SOURCES / "python" / "prepared.py"
ROUNDS = 40
LEAKS = {
    "names_each_by_sql": "PREPARE ? (int) AS SELECT $1 + ?",
    "names_each_by_libpq": "SELECT $1::int + ?",
}


@pytest.fixture(scope="module", params=[(), ("--sql", "off"), ("--sql", "text")], ids=["normalised", "off", "text"])
def prepared(request, stray, postgres):
    return request.param, stray.run([PYTHON, TARGET], env=postgres.env, options=request.param).ok()


def test_ever_new_names_are_told(prepared):
    options, result = prepared
    report = result.report()
    found = report.find(resource="prepared")
    assert sorted((each["verdict"], each["severity"], each["site"]["function"]) for each in found) == \
        [("leaked", "error", function) for function in sorted(LEAKS)], report.summary()
    for each in found:
        assert (each["count"], each["evidence"]["opened"], each["evidence"]["deallocated"]) == (ROUNDS, ROUNDS, 0)
        assert (each["evidence"]["connections"], each["evidence"]["never_used_again"]) == (1, ROUNDS - 1)
        line = TARGET.read_text().splitlines()[each["site"]["line"] - 1]
        assert "PREPARE" in line or ".prepare(" in line, line
        if not options:
            assert each["statement"] == LEAKS[each["site"]["function"]]
        assert ("statement" in each) == (options != ("--sql", "off"))


def test_names_do_not_tell_statements_apart(stray, prepared):
    """However many names there are, a text is one statement; what is executed is what was prepared."""
    options, result = prepared
    if options:
        return
    done = stray.call("sql", result.trace, "--format", "json")
    rows = {row["statement"]: row for row in json.loads(done.stdout)["statements"]}
    assert rows["DEALLOCATE ?"]["calls"] >= ROUNDS and rows["DEALLOCATE PREPARE ?"]["calls"] == ROUNDS
    assert not [text for text in rows if text.startswith("EXECUTE") or "by_number" in text], list(rows)
    assert rows["PREPARE ? (int) AS SELECT $1 + ?"]["calls"] > 4 * ROUNDS
