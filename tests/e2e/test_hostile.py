# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that do what few do: the tracer must neither get in their way nor lose count."""
import errno
import json
import os
import subprocess

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


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["default", "full"])
def test_odd_stacks_and_moments(stray, target, options):
    """Smallest stacks, a signal a millisecond on a stack of its own, coroutines: exact."""
    result = stray.run([target("target_odd")], options=options).ok().check()
    report = result.report()
    assert report.trace["complete"] and report.trace["lost_events"] == 0


def test_a_number_that_was_the_tracers(stray, target, tmp_path):
    """Once a raw system call has closed the tracer's descriptor, its number is the program's to use and to close."""
    command = [target("target_taken"), tmp_path / "own"]
    traced, untraced = stray.run(command, options=["--full"]).ok(), bare(command)
    assert traced.stdout == untraced.stdout
    assert traced.report().trace["lost_events"] == 0


def test_address_space(stray):
    """It may be limited, or locked into memory by mlockall(): tracing takes little of it, half for tables of samples."""
    code = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmSize')))"
    traced, untraced = stray.run([PYTHON, "-c", code]).ok(), bare([PYTHON, "-c", code])
    assert int(traced.stdout) - int(untraced.stdout) < 48 * 1024


def test_python_functions_while_libraries_are_unloaded(stray):
    """An unload in one thread takes no Python frame from what another records."""
    report = stray.run([PYTHON, SOURCES / "python" / "unloads.py"]).ok().check().report()
    assert report.trace["complete"] and report.trace["lost_events"] == 0
    assert report.trace["notes"] == [], "an executable that uses the address of malloc does not define it"


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


LISTS_THAT_GROW = """
import os
for turn in range(20):
    os.close(os.open("/dev/null", os.O_RDONLY))
    kept = []
    for number in range(20000):
        kept.append((number, str(number)))
        if len(kept) > 2000:
            kept = []
    lists = [[] for _ in range(300)]
    for number in range(300):
        for each in lists:
            each.append(number)
    assert all(each == list(range(300)) for each in lists)
"""


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_python_with_another_allocator_before_ours(stray, tmp_path, allocator):
    """What is released past us is not taken for what lay there before."""
    trace = tmp_path / "trace"
    done = bare([PYTHON, "-c", LISTS_THAT_GROW], env={"LD_PRELOAD": f"{ALLOCATORS[allocator]}:{stray.shim}", "STRAY_OUTPUT": str(trace)})
    assert done.returncode == 0, done.stderr
    assert stray.report(trace).process()["end"] == "exit"


def test_blocks_of_another_allocator_are_left_to_it(stray, target, tmp_path):
    """reallocarray() is libc's even where malloc() is not: what it is given is no block of libc's."""
    trace = tmp_path / "trace"
    done = bare([target("target_heap")], env={"LD_PRELOAD": f"{ALLOCATORS['tcmalloc']}:{stray.shim}", "STRAY_OUTPUT": str(trace)})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [["clang", "-fsanitize=address"], ["clang", "-fsanitize=thread"], ["gcc", "-fsanitize=thread"]],
                         ids=lambda command: "-".join(command))
def test_a_sanitizer_in_a_program_that_is_executed(stray, tmp_path, command):
    """Its runtime asks for libc's functions before these, or its own, can be called: it runs, untraced, as it would."""
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text("#include <stdlib.h>\nint main(void) { char *volatile block = malloc(9); free(block); return *block = 0; }")
    subprocess.run([*command, "-w", "-o", program, source], check=True)
    shell = ["sh", "-c", f"{program}; echo status $?"]
    traced, untraced = stray.run(shell), bare(shell)
    assert traced.stdout == untraced.stdout and "status 0" not in traced.stdout
    assert not [file for file in traced.files() if file.name.startswith("program.")]


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


# chroot() and setuid() are for root; a container's is enough.
PLACES = ["fsize", "nofile", "memory", "exec", *(["chroot", "user"] if os.getuid() == 0 else [])]


@pytest.mark.parametrize("how", PLACES)
def test_surroundings_become_hostile(stray, target, tmp_path, how):
    """The program goes on as it would; the report has all, or says how much it has not."""
    result = stray.run([target("target_places"), how, tmp_path], options=["--full"]).ok()
    report = result.report()
    assert report.process(result.pid if how != "exec" else report.processes[-1]["pid"])["end"] == "exit"
    after, lost = report.sum("after", "heap")["opened"], report.trace["lost_events"]
    assert report.sum("before", "heap")["opened"] == 3000 or lost
    if how == "fsize":
        assert lost > 0 and report.trace["complete"] is False
        assert after < 20000 <= after + lost <= 23000 + 1024
        assert json.loads(stray.call("info", result.trace, "--format", "json").stdout)["traces"][0]["lost_events"] == lost
        heading = stray.call("report", result.trace).stdout.splitlines()[0]
        assert f"{lost:,} lost".replace(",", " ") in heading, heading
        assert stray.call("verify", result.trace).returncode == 1, "frames are missing"
    else:
        assert lost == 0 and report.trace["complete"]
        children = len({process["pid"] for process in report.processes}) - 1
        assert after == 20000 + 2 * children
        assert children == (how in ("memory", "exec")), "where the folder cannot be written, children run untraced"


if os.getuid() == 0:
    def test_a_daemon_that_gives_up_its_privileges(stray, target, tmp_path):
        for folder in (tmp_path, *tmp_path.parents):
            folder.chmod(folder.stat().st_mode | 0o055)
        result = stray.run([target("target_privileges"), tmp_path]).ok().check()
        report = result.report()
        assert report.trace["lost_events"] == 0 and report.trace["complete"]
        assert [process["end"] for process in report.processes] == ["exit"] * 2


def test_the_folder_is_removed(stray, target):
    """Nothing is left to report, and nothing comes back."""
    trace = stray.new_folder()
    process = stray.start([target("target_places"), "removed", trace], trace=trace, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"") and b'"after"' in out
    assert not trace.exists()


REFUSED = {"writev": errno.ENOSPC, "madvise": errno.ENOMEM, "mremap": errno.ENOMEM, "ftruncate": errno.ENOSPC, "process_vm_readv": errno.EPERM,
           "mkdir": errno.EACCES, "getrandom": errno.ENOSYS, "getsockopt": errno.EPERM, "tgkill": errno.EPERM, "prlimit64": errno.EPERM,
           "rt_sigprocmask": errno.EPERM, "clock_gettime": errno.EPERM, "unlink": errno.EACCES, "gettid": errno.EPERM, "getpid": errno.EPERM,
           "fcntl": errno.EPERM, "fstat": errno.EPERM, "readlink": errno.EPERM, "getdents64": errno.EPERM}


@pytest.mark.parametrize("call", REFUSED)
def test_a_system_call_that_always_fails(stray, target, tmp_path, call):
    """From the start on, as in a container or on a full disk: the program does not notice, whatever is recorded."""
    trace = tmp_path / "trace"
    command = [target("target_places"), "none"]
    refusing = [target("target_refuses"), call, REFUSED[call]]
    untraced = bare([*refusing, *command])
    done = bare([*refusing, *command], env={"LD_PRELOAD": str(stray.shim), "STRAY_OUTPUT": str(trace), "STRAY_FULL": "1"})
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (untraced.returncode, untraced.stderr, 3)
    if list(trace.glob("target_places.*.stray")):  # else it could not be traced
        report = stray.report(trace)
        after, lost = report.sum("after", "heap")["opened"], report.trace["lost_events"]
        assert lost or after in (20000, 20000 + 2), "with or without the child's"


def test_no_room_for_the_trace(stray, target, tmp_path):
    """Every frame is refused, as by a full disk: what the spool cannot keep is counted as lost."""
    trace = tmp_path / "trace"
    done = bare([target("target_refuses"), "writev", errno.ENOSPC, stray.path, "run", "-o", trace, "--full", "--", target("target_places"),
                 "none"])
    assert done.returncode == 0, done.stderr
    [process] = {line["pid"] for line in parse_expected(done.stdout).values()}
    report = stray.report(*trace.glob(f"*.{process}.stray"))
    after, before, lost = report.sum("after", "heap")["opened"], report.sum("before", "heap")["opened"], report.trace["lost_events"]
    assert lost > 0 and report.trace["complete"] is False
    assert 23000 <= after + before + lost <= 23000 + 1024
