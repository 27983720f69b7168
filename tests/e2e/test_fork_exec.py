# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes: how they end, their children, and what they become."""
import signal

import pytest

from conftest import PYTHON, SOURCES, compare, parse_expected

SIGNALS = {"abort": signal.SIGABRT, "segv": signal.SIGSEGV, "term": signal.SIGTERM, "kill": signal.SIGKILL}


@pytest.mark.parametrize("how", ["return", "exit", "_exit", "_Exit", "quick_exit", "thread_exit", "pthread_exit"])
def test_exits(stray, target, how):
    result = stray.run([target("target_process"), "ends", how]).check()
    status = 0 if how == "pthread_exit" else 7
    assert result.status == status
    process = result.report().process(result.pid)
    assert process["end"] == "exit"
    assert process.get("exit_status") == status


@pytest.mark.parametrize("how", sorted(SIGNALS))
def test_deaths(stray, target, how):
    result = stray.run([target("target_process"), "ends", how]).check()
    assert result.status == -SIGNALS[how]
    process = result.report().process(result.pid)
    assert (process["end"], process["exit_status"]) == ("signal", 128 + SIGNALS[how])


def linked(report, root, count):
    """All processes but the root have a parent among the others."""
    pids = [process["pid"] for process in report.processes]
    assert len(pids) == count, report.processes
    for process in report.processes:
        assert process["pid"] == root or process["parent_pid"] in pids, process


def test_forks(stray, target):
    result = stray.run([target("target_process"), "forks"]).ok().check()
    report = result.report()
    linked(report, result.pid, 4)
    assert all(process["end"] == "exit" for process in report.processes)
    assert all(process["parent_pid"] == result.pid for process in report.processes if process["pid"] != result.pid)
    # The whole tree: each block and each socket in one process's books only.
    assert report.sum("keeps", "heap") == {"opened": 10, "closed": 1, "open": 9, "bytes_open": 900}
    assert report.sum("opens", "socket")["opened"] == 4


def test_forks_of_forks_while_threads_allocate(stray, target):
    result = stray.run([target("target_process"), "forks_deep"]).ok().check()
    linked(result.report(), result.pid, 41)


def test_vfork_children_close_nothing_of_their_parent(stray, target):
    result = stray.run([target("target_process"), "vforks"]).ok()
    compare(stray.report(*result.files(result.pid)), parse_expected(result.stdout))


def test_spawned_children(stray, target):
    result = stray.run([target("target_process"), "spawns"]).ok()
    compare(stray.report(*result.files(result.pid)), parse_expected(result.stdout))
    report = result.report()
    names = sorted(process["exe"].rsplit("/", 1)[-1] for process in report.processes)
    assert names.count("true") >= 2, names
    assert all(process["end"] in ("exit", "exec") for process in report.processes)


KEPT = [(how, "kept") for how in ("execv", "execve", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve")]
EMPTIED = [(how, "emptied") for how in ("execve", "execvpe", "execle", "fexecve")]


@pytest.mark.parametrize("how, environment", KEPT + EMPTIED)
def test_becomes_another(stray, target, how, environment):
    env = {"EMPTY_ENVIRONMENT": "1"} if environment == "emptied" else {}
    result = stray.run([target("target_process"), "becomes", how], env=env).ok()
    report = result.report()
    compare(report, parse_expected(result.stdout))
    assert [process["pid"] for process in report.processes] == [result.pid] * 2, report.processes
    assert [process["end"] for process in report.processes] == ["exec", "exit"]
    first, second = (process["resources"] for process in report.processes)
    assert first["socket"] == {**first["socket"], "opened": 2, "closed": 1, "open": 1}
    assert second.get("socket", {}).get("opened", 0) == 0
    assert second["socket"]["inherited"] == 1


def test_python_children(stray):
    result = stray.run([PYTHON, SOURCES / "python" / "children.py"]).ok()
    assert result.stdout == "spawned\n"
    report = result.report()
    statuses = [process.get("exit_status") for process in report.processes]
    assert 5 in statuses and 3 in statuses and 4 in statuses, report.processes
    linked(report, result.pid, len(report.processes))


def test_follow_can_be_switched_off(stray, target):
    result = stray.run([target("target_process"), "forks"], options=["--no-follow"]).ok()
    report = result.report()
    assert [process["pid"] for process in report.processes] == [result.pid]
    rows = {key: row for key, row in parse_expected(result.stdout).items() if key[0] == result.pid}
    compare(report, rows)
