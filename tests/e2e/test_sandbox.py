# SPDX-License-Identifier: LGPL-2.1-or-later
"""Filters of system calls: what the program forbids itself must not kill it for being traced."""
import re

import pytest

from conftest import ROOT, bare

QUIET = ["allowlist", "denylist", "raw", "trap", "library", "arguments", "dispatch", "inclusive", "strict"]


def notes(report):
    return [note for note in report.trace["notes"] if "seccomp" in note or "DISPATCH" in note]


@pytest.mark.parametrize("how", QUIET)
def test_a_filter_that_would_kill(stray, target, how):
    """Recording ends before the filter is in force, in children too; what was before is there."""
    command = [target("target_seccomp"), how]
    result = stray.run(command)
    assert result.status == bare(command).returncode == 0, result.stderr
    result.check()
    report = result.report()
    assert len(result.files()) == len(report.processes) == 1, "children must not be traced"
    assert report.process(result.pid)["end"] == "detached"
    assert report.trace["lost_events"] == 0 and report.trace["complete"]
    [note] = notes(report)
    assert "recording ended where" in note
    text = stray.call("report", result.trace).stdout
    assert "recording ended where" in text
    assert ("strict" in note) == (how == "strict")
    if how not in ("strict", "arguments", "dispatch", "inclusive"):
        for name in ("process_vm_readv", "tgkill", "writev") if how != "allowlist" else ():
            assert name in note or "others" in note, note
    assert not list(result.trace.glob("*.spool"))
    assert stray.call("verify", result.trace).returncode == 0


@pytest.mark.parametrize("how", ["refuse", "log", "none"])
def test_a_filter_that_can_be_lived_with(stray, target, how):
    """Errors for the tracer's own calls lose nothing that matters, and do not stop it."""
    result = stray.run([target("target_seccomp"), how]).ok().check()
    report = result.report()
    assert report.process(result.pid)["end"] == "exit"
    assert len(report.processes) == 3  # a forked child and the shell of system()
    assert report.trace["lost_events"] == 0 and report.trace["complete"]
    assert report.sum("socket_before", "socket")["open"] == 10, "an answer that was refused is no close"
    assert bool(notes(report)) == (how == "refuse")


def test_the_list_of_system_calls_is_whole():
    """Every system call in the code of the shim stands in the list that filters are examined for."""
    listed = set(re.findall(r"^CALL\((\w+)\)", (ROOT / "preload" / "syscalls.def").read_text(), re.M))
    # The questions about a filter are asked before there is one; the last wait is made before it is in force.
    before = {"prctl", "seccomp", "capget", "nanosleep"}
    before |= {"setsid", "chdir", "dup2"}  # daemon()'s own
    on_behalf = {"chdir", "dup2", "setsid"}  # of daemon(), which the program called
    used = set()
    for path in (ROOT / "preload").rglob("*.[ch]"):
        used |= set(re.findall(r"SYS(?:3|6)\(SYS_(\w+)|arch_syscall\(SYS_(\w+)", path.read_text()))
    used = {first or second for first, second in used}
    assert len(used) > 20
    assert used - before - on_behalf == listed
