# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals: handlers are called as without the tool, and who died of a signal is said to have."""
import signal
import subprocess

import pytest

from conftest import PYTHON, TIMEOUT, bare, without_ours

OWN = {"abort": signal.SIGABRT, "raise": signal.SIGUSR1, "kill": signal.SIGKILL, "group": signal.SIGALRM,
       "tgkill": signal.SIGQUIT, "pthread_kill": signal.SIGHUP}
UNSEEN = {"fault": signal.SIGSEGV, "blocked": signal.SIGSEGV}


def test_handlers_are_the_programs_own(stray, target):
    assert bare([target("target_signals"), "handlers"]).returncode == 0
    report = stray.run([target("target_signals"), "handlers"]).ok().check().report()
    assert report.process()["end"] == "exit"


@pytest.mark.parametrize("how", sorted(OWN))
def test_died_of_its_own_signal(stray, target, how):
    result = stray.run([target("target_signals"), "die", how]).check()
    assert result.status == -OWN[how]
    process = result.report().process()
    assert (process["end"], process["exit_status"]) == ("signal", 128 + OWN[how])
    assert '"end": "signal"' in stray.call("info", result.trace, "--format", "json").stdout


@pytest.mark.parametrize("how", sorted(UNSEEN))
def test_nobody_saw_it_die(stray, target, how):
    result = stray.run([target("target_signals"), "die", how]).check()
    assert result.status == -UNSEEN[how]
    process = result.report().process()
    assert process["end"] == "killed" and "exit_status" not in process


@pytest.mark.parametrize("how", sorted({**OWN, **UNSEEN}))
def test_its_parent_saw_it_die(stray, target, how):
    result = stray.run([target("target_signals"), "children", how]).ok().check()
    report = result.report()
    child = [process for process in report.processes if process["pid"] != result.pid]
    assert [(each["end"], each["exit_status"]) for each in child] == [("signal", 128 + {**OWN, **UNSEEN}[how])]
    assert report.process(result.pid)["end"] == "exit"


def test_its_parent_saw_it_exit(stray, target):
    result = stray.run([target("target_signals"), "children", "quietly"]).ok().check()
    child = [process for process in result.report().processes if process["pid"] != result.pid]
    assert [(each["end"], each["exit_status"]) for each in child] == [("exit", 9)]


def test_a_program_that_was_executed_dies(stray):
    """Two programs in one process: the first ends by exec, the second by the signal that the shell was told of."""
    result = stray.run(["sh", "-c", "bash -c 'kill -TERM $$' & wait $!; true"]).ok()
    ends = [(process["exe"].rsplit("/", 1)[-1], process["end"], process.get("exit_status")) for process in result.report().processes]
    assert sorted(end for end in ends if end[1] != "exit") == [("bash", "signal", 143), ("dash", "exec", None)], ends


PYTHON_SERVICE = """
import asyncio, signal
async def main():
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print("ready", flush=True)
    await stop.wait()
    print("stopped", signal.getsignal(signal.SIGTERM), flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_python_service_stops(stray, number):
    said = []
    for command in ([PYTHON, "-c", PYTHON_SERVICE], stray.command(stray.new_folder(), [PYTHON, "-c", PYTHON_SERVICE])):
        with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            out, err = process.communicate(timeout=TIMEOUT)
            said.append((process.returncode, out.split(" at ")[0], without_ours(err)))
    assert said[0] == said[1]
