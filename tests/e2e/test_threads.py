# SPDX-License-Identifier: LGPL-2.1-or-later
"""Threads: how many each place made, and of how many nothing is left."""
import signal

import pytest

from conftest import bare, without_ours


@pytest.mark.parametrize("mode", ["joins", "detaches", "forking"])
def test_counts(stray, target, mode):
    report = stray.run([target("target_threads"), mode]).ok().check().report()
    assert report.find(resource="thread") == []
    assert report.trace["lost_events"] == 0 and report.trace["complete"]


def test_never_joined(stray, target):
    report = stray.run([target("target_threads"), "leaves"]).ok().check().report()
    finding = report.finding("made_and_left", "thread", "leaked")
    assert finding["count"] == 40
    assert finding["message"] == "40 threads started by made_and_left have ended and were never joined, of 40 started"


def test_never_ending(stray, target):
    report = stray.run([target("target_threads"), "grows"]).ok().check().report()
    finding = report.finding("made_to_run", "thread", "leaked")
    assert finding["count"] == 200
    assert "never ended" in finding["message"]


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["default", "full"])
def test_never_ending_and_not_silent(stray, target, options):
    """What they allocate may be a load that they were made for: a warning at least, however much of it is written."""
    report = stray.run([target("target_threads"), "wakes_on"], options=options).ok().check().report()
    found = report.find(resource="thread")
    assert [(each["verdict"], each["count"]) for each in found] in ([("creep", 100)], [("leaked", 100)])


@pytest.mark.parametrize("mode", ["pool", "stopped_pool"])
def test_pools_are_no_leaks(stray, target, mode):
    report = stray.run([target("target_threads"), mode]).ok().check().report()
    assert report.find(resource="thread") == []


@pytest.mark.parametrize("mode", ["joined", "detached"])
def test_threads_of_cxx(stray, target, mode):
    report = stray.run([target("target_threads_cxx"), mode]).ok().check().report()
    assert report.find(resource="thread") == []


def test_exception_that_escapes_a_thread(stray, target):
    """It ends the program as it does untraced, with the same words."""
    command = [target("target_threads_cxx"), "escapes"]
    result, untraced = stray.run(command), bare(command)
    assert result.status == untraced.returncode == -signal.SIGABRT
    assert without_ours(result.stderr) == untraced.stderr and "nobody waits for me" in untraced.stderr
    result.check()
