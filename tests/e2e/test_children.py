# SPDX-License-Identifier: LGPL-2.1-or-later
"""Children: how many each place made, and which of them nobody waited for."""
import pytest

from conftest import PYTHON, compare, parse_expected


def own(stray, result):
    """The report of the first process alone, compared with what it stated."""
    report = stray.report(*result.files(result.pid))
    compare(report, {key: row for key, row in parse_expected(result.stdout).items() if key[0] == result.pid})
    return report


@pytest.mark.parametrize("options", [(), ("--no-follow",)], ids=["follow", "no-follow"])
@pytest.mark.parametrize("mode", [["reaps"], ["handles"], ["ignores"], ["ignores", "no_wait"], ["leaves_running"]], ids="-".join)
def test_counts(stray, target, mode, options):
    result = stray.run([target("target_children"), *mode], options=options).ok()
    report = own(stray, result)
    assert report.find(resource="child") == []
    assert report.trace["complete"]
    assert (len(result.files()) > len(result.files(result.pid))) == (not options)


@pytest.mark.parametrize("count, severity", [(1, "warning"), (9, "warning"), (10, "error"), (40, "error")])
def test_never_waited_for(stray, target, count, severity):
    report = own(stray, stray.run([target("target_children"), "leaves", count]).ok())
    finding = report.finding("left_by_fork", "child", "unreaped")
    assert (finding["count"], finding["severity"]) == (count, severity)
    who = "1 child started by left_by_fork has" if count == 1 else f"{count} children started by left_by_fork have"
    assert finding["message"].startswith(f"{who} exited and ")
    assert report.find("by_fork") == []


def test_never_closed_streams(stray, target):
    """libc does not tell the pids of the children behind popen()."""
    report = own(stray, stray.run([target("target_children"), "leaves_streams", 12]).ok())
    finding = report.finding("piped", "child", "unreaped")
    assert (finding["count"], finding["severity"]) == (12, "error")


PYTHON_CHILDREN = """
import os, subprocess, sys, time
forgotten = []
def forgets(count):
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        forgotten.append(pid)
def keeps_popen(count):
    return [subprocess.Popen(["/bin/true"]) for _ in range(count)]
def runs(count):
    for _ in range(count):
        subprocess.run(["/bin/true"], check=True)
def polls(count):
    children = [subprocess.Popen(["/bin/true"]) for _ in range(count)]
    while any(child.poll() is None for child in children):
        time.sleep(0.01)
runs(8)
polls(8)
kept = keeps_popen(12)
forgets(7)
for pid in forgotten + [child.pid for child in kept]:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
"""


def test_python(stray):
    result = stray.run([PYTHON, "-c", PYTHON_CHILDREN]).ok()
    report = stray.report(*result.files(result.pid))
    for function, count, severity in (("keeps_popen.<locals>.<listcomp>", 12, "error"), ("forgets", 7, "warning")):
        finding = report.finding(function, "child", "unreaped")
        assert (finding["count"], finding["severity"], finding["site"]["language"]) == (count, severity, "python")
    assert len(report.find(resource="child")) == 2
    assert report.sum("runs", "child") == {"opened": 8, "closed": 8, "open": 0, "bytes_open": 0}
    assert report.sum("polls.<locals>.<listcomp>", "child") == {"opened": 8, "closed": 8, "open": 0, "bytes_open": 0}
