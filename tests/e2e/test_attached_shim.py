# SPDX-License-Identifier: LGPL-2.1-or-later
"""Is what a process does while it is attached to counted exactly, and nothing else, and is it afterwards as it was?

The shim's side alone: the targets load it by a thread of their own and hand it a request, as `stray attach` does from outside.
"""
import json
import os
import pathlib
import subprocess

import pytest
from conftest import PYTHON, SOAK, SOURCES, TARGETS, TIMEOUT, compare, parse_expected

ATTACHED_PYTHON = [PYTHON, SOURCES / "python" / "attached.py"]


class Attached:
    """A finished target that attached to itself, and its traces in the order of attaching."""

    def __init__(self, stray, folder, done, status):
        self.stray, self.folder, self.stdout, self.stderr = stray, folder, done.stdout, done.stderr
        assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        self.files = sorted(folder.glob("attached-*.stray"), key=lambda path: int(path.name.split("-")[1].split(".")[0]))

    def report(self, which=0, *options):
        return self.stray.report(self.files[which], *options)

    def check(self, which=0):
        report = self.report(which)
        compare(report, parse_expected(self.stdout))
        return report


@pytest.fixture
def attached(stray, target):
    def run(*arguments, command=None, env=None, status=0):
        folder = pathlib.Path(stray.new_folder())
        folder.mkdir()
        command = [*(command or [target("target_attached")]), stray.shim, folder, *arguments]
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=TIMEOUT * SOAK, env={**os.environ, **(env or {})})
        return Attached(stray, folder, done, status)
    return run


def is_whole(report):
    assert report.trace["complete"] and report.trace["lost_events"] == 0, report.trace
    return True


def test_counts_what_happens_in_between(attached):
    done = attached("single")
    assert len(done.files) == 1 and not list(done.folder.glob("*.spool"))
    report = done.check()
    process = report.process()
    assert is_whole(report) and process["end"] == "detached"
    before = process["before_attach"]
    assert before["resources"]["connection"] == {"open": 3, "closed": 1}
    assert before["resources"]["socket"] == {"open": 1, "closed": 0}
    assert before["resources"]["file"] == {"open": 2, "closed": 1}
    assert [(row["kind"], row["open"], row["closed"]) for row in before["connections"]] == [("client", 3, 1)]
    assert before["connections"][0]["peer"].startswith("127.0.0.1:")
    assert before["threads"] == 1 and before["heap_bytes"] > 1000 and before["not_known"]
    assert process["resources"]["heap"]["unknown_closed"] >= 4  # what it released of the first ten
    assert process["resources"]["connection"]["unknown_closed"] == 0 and process["resources"]["connection"]["inherited"] == 0


def test_what_was_open_before_is_listed(attached, stray):
    done = attached("single")
    rows = json.loads(stray.call("conns", done.files[0], "--format", "json").stdout)["conns"]
    before = [row for row in rows if row["before_attach"]]
    assert sorted(row["closed"] for row in before) == ["closed", "open", "open"] and len(rows) == 8
    assert all(row["opened_s"] is None and row["tcp_state"] == "ESTABLISHED" and row["site"]["function"] is None for row in before)
    text = stray.call("report", done.files[0]).stdout
    assert "ATTACHED" in text and "3 connections (1 closed since)" in text and "of unknown origin" in text and "not known: " in text
    assert "attach" in stray.call("info", done.files[0]).stdout


def test_a_service_that_leaked_before_and_goes_on(attached):
    report = attached("staging").check()
    assert report.finding("forgets", "connection", "leaked")["count"] == 100
    report.nothing_about("remembers")
    assert report.process()["before_attach"]["resources"]["connection"] == {"open": 50, "closed": 0}


def test_fifty_times_amid_a_storm(attached):
    times = 50 * SOAK
    done = attached("storm", times)
    assert len(done.files) == times  # and a spool where a thread was held up amid an event for the whole time that it was waited for
    for which in range(times):
        report = done.check(which)
        assert is_whole(report) and report.process()["end"] == "detached"


def test_a_thread_that_is_held_up_at_its_write(attached, target):
    """Longer than it is waited for: it writes into no file of the program's and leaves nothing open, and nothing is lost."""
    done = attached(command=[target("target_attached_held")])
    assert len(done.files) == 2
    report = done.report(0)
    assert report.trace["lost_events"] == 0 and report.sum("keeps", "heap")["opened"] > 900
    assert is_whole(done.report(1))


def test_amid_everything(attached):
    """Threads that connect, open, fork, begin and end, and a signal each millisecond."""
    times = 20 * SOAK
    done = attached("everything", times)
    assert len(done.files) == times
    for which in range(times):
        report = done.check(which)
        assert is_whole(report) and report.process()["end"] == "detached"
        # A thread that is held up while it binds a call takes the hook away again, until the slots are looked at once more: joins may be
        # missed that long. Of what needs no more than one call nothing is.
        assert not [each for each in report.find(verdict="leaked") if each["resource"] != "thread"], report.summary()


@pytest.mark.parametrize("allocator", ["libjemalloc.so.2", "libtcmalloc_minimal.so.4"])
def test_another_allocator(attached, allocator):
    """In front of libc's: blocks must go back to where they came from."""
    env = {"LD_PRELOAD": f"/usr/lib/x86_64-linux-gnu/{allocator}"}
    report = attached("single", env=env).check()
    assert is_whole(report) and report.process()["before_attach"]["heap_bytes"] is None
    done = attached("storm", 5, env=env)
    for which in range(5):
        assert is_whole(done.check(which))


def test_libraries_that_come_and_go(attached):
    done = attached("plugins", TARGETS)
    assert is_whole(done.check(0))
    again = done.report(1)
    assert is_whole(again)
    assert (again.sum("plugin_one", "heap")["opened"], again.sum("plugin_two", "heap")["opened"]) == (2, 6)


def test_a_request_that_is_withdrawn(attached):
    """Nobody waits for it any more, and its files are gone: what was begun is undone, and the next one begins."""
    done = attached("withdrawn")
    assert [path.name.split(".")[0] for path in done.folder.iterdir()] == ["attached-3"]
    assert is_whole(done.check())


# ---- children and ends ----

def rows_of(done, pid):
    return {key: row for key, row in parse_expected(done.stdout).items() if key[0] == pid}


def test_children_follow(attached, stray):
    done = attached("forks")
    parent = int(done.files[0].name.split(".")[1])
    children = [path for path in done.folder.glob("*.stray") if path not in done.files]
    assert len(children) == 2, sorted(done.folder.iterdir())  # the second one executed a program
    compare(done.report(0), rows_of(done, parent))
    assert done.report(0).process()["end"] == "detached"
    reports = [stray.report(path) for path in children]
    assert sorted(report.process()["end"] for report in reports) == ["exec", "exit"]
    report = next(report for report in reports if report.process()["end"] == "exit")
    compare(report, rows_of(done, report.process()["pid"]))
    assert report.process()["resources"]["connection"]["inherited"] == 1 and "before_attach" not in report.process()
    again = done.report(1)  # of a child that was made after the end
    assert again.sum("keeps", "heap")["opened"] == 7 and again.sum("keeps_in_child", "heap")["opened"] == 0
    assert again.process()["pid"] != parent and again.process()["end"] == "detached"
    assert not list(done.folder.glob("*.spool"))


@pytest.mark.parametrize("folder", ["follow", "folder"])
def test_children_that_do_not_follow(attached, stray, folder, tmp_path):
    """Not wanted, or there is no place where the child could write. It can be attached to by itself."""
    (tmp_path / "file").write_text("")
    options = {"follow": "STRAY_FOLLOW=0", "folder": f"STRAY_OUTPUT={tmp_path}/file/folder"}[folder]
    done = attached("forks_untraced", env={"ATTACH_OPTIONS": options})
    assert len(list(done.folder.glob("*.stray"))) == 2
    for path in done.files:
        report = stray.report(path)
        compare(report, rows_of(done, report.process()["pid"]))
        assert is_whole(report) and report.process()["end"] == "detached"
    parent = next(done.report(i) for i in range(2) if done.report(i).sum("keeps", "heap")["opened"] == 20)
    assert parent.process()["resources"]["child"]["opened"] == 1


def test_returns_from_main(attached):
    done = attached("ends", "return", status=7)
    report = done.check()
    process = report.process()
    assert is_whole(report) and process["end"] == "exit" and process["exit_status"] == 7
    assert not list(done.folder.glob("*.spool"))


def test_executes_another_program(attached):
    report = attached("ends", "exec").check()
    assert report.process()["end"] == "exec" and report.trace["lost_events"] == 0


def test_is_killed(attached):
    report = attached("ends", "kill", status=-9).check()
    assert report.process()["end"] == "signal" and report.trace["lost_events"] == 0


def test_a_thread_that_outlives_the_trace(attached):
    report = attached("thread").check()
    assert is_whole(report) and report.process()["before_attach"]["threads"] == 2
    assert report.process()["resources"]["heap"]["unknown_closed"] >= 5


# ---- Python ----

def test_python_frames_at_once(attached):
    done = attached("frames", command=ATTACHED_PYTHON)
    report = done.check()
    assert is_whole(report)
    sites = [each["site"] for each in report.json["sites"] if each["site"]["function"] == "make_buffer"]
    assert sites and all(site["language"] == "python" and site["file"].endswith("attached.py") for site in sites)
    assert report.process()["before_attach"]["resources"]["connection"] == {"open": 5, "closed": 2}


def test_python_objects(attached):
    done = attached("objects", "STRAY_PYTHON_MEMORY=exact", command=ATTACHED_PYTHON)
    report = done.check()
    assert is_whole(report)
    assert report.process()["resources"]["pyobject"]["unknown_closed"] > 0  # some lay in pages from which others were served since


def test_python_objects_after_samples_of_them(attached):
    """What takes samples was to be put out of the way by a call that the interpreter has yet to make."""
    assert is_whole(attached("exactly_after_samples", command=ATTACHED_PYTHON).check(1))


@pytest.mark.parametrize("memory", ["sampled", "exact", "off"])
def test_python_again_and_again(attached, memory):
    """More often than allocators can be put before those of the interpreter for good."""
    done = attached("again", f"STRAY_PYTHON_MEMORY={memory}", command=ATTACHED_PYTHON)
    assert len(done.files) == 12
    reports = [done.check(which) for which in range(12)]
    assert all(is_whole(report) for report in reports)
    opened = [report.process()["resources"]["pyobject"]["opened"] for report in reports]
    seen = {"exact": min(opened), "sampled": max(opened), "off": max(opened)}[memory]  # a sample may fall into none of so few
    assert (seen > 0) == (memory != "off"), opened


def test_all_is_told_where_only_sums_were(attached):
    """A thread has learnt in the trace before to tell sums of what it soon releases."""
    done = attached("full_at_last", command=ATTACHED_PYTHON)
    told = [done.stray.call("dump", file).stdout for file in done.files]
    assert " elided " in told[0] and " elided " not in told[1]


# ---- libpq ----

def test_libpq(attached, target, postgres):
    done = attached(command=[target("target_attached_libpq")], env=postgres.env)
    report = done.check()
    before = report.process()["before_attach"]
    assert is_whole(report)
    assert before["resources"]["connection"] == {"open": 4, "closed": 2}
    assert before["resources"]["pgconn"] == {"open": 3, "closed": 2}
    assert report.process()["resources"]["pgconn"]["unknown_closed"] == 0
    assert before["connections"] == [{"peer": postgres.peer, "kind": "client", "open": 4, "closed": 2}]


def test_a_pgconn_from_before_is_tied_to_its_socket(attached, target, postgres, stray):
    done = attached(command=[target("target_attached_libpq")], env=postgres.env)
    listed = stray.call("conns", done.files[0], "--format", "json", "--resource", "connection,pgconn")
    rows = [row for row in json.loads(listed.stdout)["conns"] if row["before_attach"]]
    told = sorted((row["resource"], row["statements"], row["closed"]) for row in rows if row["statements"] is not None)
    assert told == [("connection", 1, "closed"), ("connection", 2, "open"), ("pgconn", 0, "closed"), ("pgconn", 1, "closed"),
                    ("pgconn", 2, "open")]


def test_psycopg2(attached, postgres):
    report = attached("psycopg", command=ATTACHED_PYTHON, env=postgres.env).check()
    assert is_whole(report)
    assert report.process()["before_attach"]["resources"]["connection"] == {"open": 3, "closed": 1}
    assert report.process()["before_attach"]["resources"]["pgconn"] == {"open": 2, "closed": 1}


# ---- pairs ----

def test_pairs_of_the_users(attached, target):
    """Those of one time are nothing to the next, and nothing is left of them."""
    done = attached(command=[target("target_attached_pairs")])
    first, second = done.report(0), done.report(1)
    assert (first.sum("makes", "thing")["opened"], first.sum("makes", "thing")["closed"]) == (20, 15)
    assert "box" not in first.process()["resources"] and first.process()["resources"]["thing"]["opened"] >= 21
    assert second.sum("boxes", "box")["opened"] == 9 and "thing" not in second.process()["resources"]
