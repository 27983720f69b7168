# SPDX-License-Identifier: LGPL-2.1-or-later
"""stray diff: a change is told from another run of the same, and lines may move."""
import json

import pytest

from conftest import PYTHON

PROGRAM = """{blank}import socket, sys
port, times, keep = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
kept = []

def handler(n):
    {name}(n)

def {name}(n):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"hello")
    if keep and n % keep == 0:
        kept.append(connection)
    else:
        connection.close()

for n in range(times):
    handler(n)
"""


@pytest.fixture(scope="module")
def run(stray, listener, tmp_path_factory):
    folder = tmp_path_factory.mktemp("diff")
    made = {}

    def call(times, keep, name="connects", blank=0):
        key = times, keep, name, blank
        if key not in made:
            source = folder / "program.py"
            source.write_text(PROGRAM.format(name=name, blank="\n" * blank))
            made[key] = stray.run([PYTHON, source, listener, times, keep]).ok().trace
        return made[key]
    return call


@pytest.fixture
def diff(stray):
    def call(*arguments):
        done = stray.call("diff", *arguments, "--format", "json")
        assert (done.returncode, done.stderr) == (0, "")
        content = json.loads(done.stdout)
        assert content["schema"] == "stray-diff/1"
        return content
    return call


def leaks(content):
    """A program that only connects and closes is told to churn: not here."""
    return [row for row in content["sites"] if row["resource"] == "connection" and row["verdict"] == "leaked"]


def connection(content):
    rows = leaks(content)
    assert len(rows) == 1, content
    return rows[0]


def test_fixed(diff, run):
    row = connection(diff(run(60, 1), run(60, 0)))
    assert (row["word"], row["verdict"], row["matched_by"]) == ("fixed", "leaked", "place")
    assert (row["base"]["count"], row["new"]["count"], row["new"]["opened"]) == (60, 0, 60)
    assert row["ratio"]["estimate"] == row["ratio"]["low"] == 0 < row["ratio"]["high"] < 0.2


def test_fixed_though_lines_moved(diff, run):
    assert connection(diff(run(60, 1), run(60, 0, blank=20)))["word"] == "fixed"
    row = connection(diff(run(60, 1), run(60, 1, blank=20)))
    assert (row["word"], row["matched_by"]) == ("unchanged", "place")


def test_unchanged_improved_worse_new(diff, run):
    assert connection(diff(run(60, 1), run(60, 1)))["word"] == "unchanged"
    improved = connection(diff(run(60, 1), run(60, 4)))
    assert improved["word"] == "improved" and (improved["base"]["count"], improved["new"]["count"]) == (60, 15)
    assert improved["ratio"]["low"] < improved["ratio"]["estimate"] < improved["ratio"]["high"] < 1
    assert connection(diff(run(60, 4), run(60, 1)))["word"] == "worse"
    new = connection(diff(run(60, 0), run(60, 1)))
    assert new["word"] == "new" and new["ratio"] is None


def test_too_short_to_tell(diff, run):
    few = connection(diff(run(60, 4), run(60, 6)))
    assert few["word"] in ("too short to tell", "unchanged") and few["ratio"]["low"] < 1 < few["ratio"]["high"]


def test_nothing_leaks(diff, run, stray):
    assert leaks(diff(run(60, 0), run(20, 0))) == []
    done = stray.call("diff", run(10, 0), run(10, 0))
    assert done.returncode == 0 and "Neither trace has findings that count" in done.stdout


def test_renamed(diff, run):
    row = connection(diff(run(60, 1), run(60, 1, name="opens")))
    assert (row["word"], row["matched_by"], row["site"]["function"]) == ("unchanged", "callers", "opens")


def test_text(stray, run):
    done = stray.call("diff", run(60, 1), run(60, 0))
    assert (done.returncode, done.stderr) == (0, "")
    assert "fixed              leaked connection  connects()  " in done.stdout
    assert done.stdout == stray.call("diff", run(60, 1), run(60, 0)).stdout


def test_a_file_and_a_folder(diff, run):
    (path,) = run(60, 1).glob("*.stray")
    assert connection(diff(path, run(60, 0)))["word"] == "fixed"


def test_the_same_trace_twice(diff, run):
    content = diff(run(60, 1), run(60, 1))
    assert content["load_differs"] is False
    assert {row["word"] for row in content["sites"]} <= {"unchanged", "too short to tell"}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_needs_two_traces(stray, run, count):
    done = stray.call("diff", *[run(60, 0)] * count)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"stray: diff: needs two traces, BASE and NEW, not {count}\n"


@pytest.mark.parametrize("arguments, word", [(["--format", "pdf"], "--format"), (["--nosuch"], "--nosuch"), (["-o", "/nosuch/x"], "/nosuch/x")],
                         ids=lambda value: " ".join(value))
def test_wrong_usage(stray, run, arguments, word):
    done = stray.call("diff", run(60, 0), run(60, 1), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stray: ") and done.stderr.count("\n") == 1 and word in done.stderr
