# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that do what few do: the tracer must neither get in their way nor lose count."""
import pytest

from conftest import PYTHON, SOAK, SOURCES, bare, parse_expected

ALLOCATORS = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4"}


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


def test_python_functions_while_libraries_are_unloaded(stray):
    """An unload in one thread takes no Python frame from what another records."""
    report = stray.run([PYTHON, SOURCES / "python" / "unloads.py"]).ok().check().report()
    assert report.trace["complete"] and report.trace["lost_events"] == 0


@pytest.mark.parametrize("allocator", ALLOCATORS)
@pytest.mark.parametrize("way", ["linked", "preloaded"])
def test_other_allocators_after_ours(stray, target, allocator, way):
    """The program's calls come to us first: exact, whoever serves them."""
    if way == "linked":
        result = stray.run([target(f"target_heap_{allocator}")])
    else:
        result = stray.run([target("target_heap_threads")], env={"LD_PRELOAD": ALLOCATORS[allocator]})
    report = result.ok().check().report()
    assert report.trace["lost_events"] == 0 and report.trace["notes"] == []


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_other_allocators_before_ours(stray, target, tmp_path, allocator):
    """The heap is not seen, and the report says why; the program runs as it would."""
    trace = tmp_path / "trace"
    done = bare([target("target_heap_threads")],
                env={"LD_PRELOAD": f"{ALLOCATORS[allocator]}:{stray.shim}", "STRAY_OUTPUT": str(trace)})
    assert done.returncode == 0, done.stderr
    report = stray.report(trace)
    [note] = report.trace["notes"]
    assert "malloc is defined by" in note and ALLOCATORS[allocator] in note
    assert report.process()["end"] == "exit" and report.trace["complete"]
    assert all(row["function"] and not report.sum(row["function"], "heap")["opened"] for row in parse_expected(done.stdout).values())


def test_blocks_of_another_allocator_are_left_to_it(stray, target, tmp_path):
    """reallocarray() is libc's even where malloc() is not: what it is given is no block of libc's."""
    trace = tmp_path / "trace"
    done = bare([target("target_heap")], env={"LD_PRELOAD": f"{ALLOCATORS['tcmalloc']}:{stray.shim}", "STRAY_OUTPUT": str(trace)})
    assert done.returncode == 0, done.stderr


def test_an_allocator_in_the_executable(stray, target):
    report = stray.run([target("target_own_malloc")]).ok().check().report()
    [note] = report.trace["notes"]
    assert note.startswith("malloc is defined by the executable")


@pytest.mark.parametrize("how", ["init", "params", "setup", "raw"])
def test_rings_are_noted(stray, target, how):
    result = stray.run([target("target_rings"), how]).ok()
    assert result.stdout == bare([target("target_rings"), how]).stdout
    [note] = result.report().trace["notes"]
    assert note.startswith("io_uring is used")
