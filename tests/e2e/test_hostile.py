# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that do what few do: the tracer must neither get in their way nor lose count."""
import pytest

from conftest import PYTHON, SOAK, bare


@pytest.mark.parametrize("round", range(3 * SOAK))
def test_handlers_that_jump_away(stray, target, round):
    """A jump out of a handler may leave the tracer in the middle of its work; the next event finds it ready."""
    result = stray.run([target("target_jumps")]).ok().check()
    report = result.report()
    assert report.process()["end"] == "exit"
    assert report.trace["complete"] and report.trace["lost_events"] == 0
    assert not list(result.trace.glob("*.spool"))


@pytest.mark.parametrize("threads", [50, 2000])
def test_many_threads_on_small_stacks(stray, target, threads):
    report = stray.run([target("target_crowd"), threads]).ok().check().report()
    assert report.trace["complete"] and report.trace["lost_events"] == 0


def test_a_number_that_was_the_tracers(stray, target, tmp_path):
    """Once a raw system call has closed the tracer's descriptor, its number is the program's to use and to close."""
    command = [target("target_taken"), tmp_path / "own"]
    traced, untraced = stray.run(command, options=["--full"]).ok(), bare(command)
    assert traced.stdout == untraced.stdout
    assert traced.report().trace["lost_events"] == 0


def test_address_space(stray):
    """It may be limited, or locked into memory by mlockall(): tracing takes little of it."""
    code = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmSize')))"
    traced, untraced = stray.run([PYTHON, "-c", code]).ok(), bare([PYTHON, "-c", code])
    assert int(traced.stdout) - int(untraced.stdout) < 32 * 1024
