# SPDX-License-Identifier: LGPL-2.1-or-later
"""What cannot be attached to is refused, with the reason and status 125, and stays as it is."""
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from attaching import ATTACHED, OTHER_USER, attach, cycle, running, started, status, tool, traits
from conftest import PYTHON, bare, until
from test_errors import refused

def test_no_such_process(tool):
    with started("true") as process:
        process.wait()
        refused(attach(tool, process.pid), 125, "no such process")
    refused(attach(tool, 4194305), 125, "no such process")
    refused(attach(tool, 99999999999), 125, "no such process")


@pytest.mark.parametrize("arguments", [[], ["x"], ["0"], ["-1"], ["1", "2"], ["1", "--for"], ["1", "--for", "0"], ["1", "--for", "x"],
                                       ["1", "--depth", "x"], ["1", "--nosuch"]], ids=" ".join)
def test_usage(tool, arguments):
    refused(tool.call("attach", *arguments), 2)


@pytest.mark.parametrize("arguments", [[], ["x"], ["1", "2"], ["--nosuch", "1"]], ids=" ".join)
def test_usage_of_detach(tool, arguments):
    refused(tool.call("detach", *arguments), 2)


@pytest.mark.parametrize("command, reason", [(["gcc", "-static"], "static"), (["gcc", "-static-pie"], "static"), (["gcc", "-m32"], "32-bit"),
                                             (["musl-gcc"], "musl")], ids=["static", "static-pie", "32-bit", "musl"])
def test_programs_that_cannot_be(tool, tmp_path, command, reason):
    source = tmp_path / "sleeps.c"
    source.write_text("#include <unistd.h>\nint main(void) { sleep(1000); return 0; }\n")
    assert bare([*command, "-o", tmp_path / "sleeps", source]).returncode == 0
    with started(tmp_path / "sleeps") as process:
        until(lambda: "sleeps" in os.readlink(f"/proc/{process.pid}/exe") and status(process.pid)["State"].startswith("S"))
        folder = tool.new_folder()
        refused(tool.call("attach", process.pid, "-o", folder), 125, reason)
        assert not folder.exists() or list(folder.iterdir()) == []
        refused(tool.call("detach", process.pid), 125)


def test_stopped(tool):
    with started("sleep", "1000") as process:
        process.send_signal(signal.SIGSTOP)
        until(lambda: status(process.pid)["State"].startswith("T"))
        refused(attach(tool, process.pid), 125, "stopped")
        assert status(process.pid)["State"].startswith("T")


def test_zombie(tool):
    process = subprocess.Popen(["true"])
    until(lambda: status(process.pid)["State"].startswith("Z"))
    refused(attach(tool, process.pid), 125, "zombie")
    process.wait()


def test_traced_by_another(tool):
    holder = "import ctypes, sys; libc = ctypes.CDLL(None); assert libc.ptrace(0x4206, int(sys.argv[1]), None, None) == 0; print('ready', flush=True); input()"
    with started("sleep", "1000") as process:
        with subprocess.Popen([PYTHON, "-c", holder, str(process.pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tracer:
            assert tracer.stdout.readline() == "ready\n"
            refused(attach(tool, process.pid), 125, str(tracer.pid), "python3")
            tracer.stdin.close()
        cycle(tool, process.pid)


def test_threads_of_the_kernel(tool):
    """Where any can be seen: in a container there are none."""
    if pathlib.Path("/proc/2/comm").exists() and pathlib.Path("/proc/2/comm").read_text() == "kthreadd\n":
        refused(attach(tool, 2), 125, "kernel")


def test_a_thread_of_a_process(tool):
    with running(ATTACHED / "attached_storm", "2") as pid:
        until(lambda: len(os.listdir(f"/proc/{pid}/task")) == 2)
        other = max(map(int, os.listdir(f"/proc/{pid}/task")))
        refused(attach(tool, other), 125, f"thread of {pid}")


def test_itself(tool):
    done = bare(["sh", "-c", f"exec {tool.path} attach $$ -o {tool.new_folder()}"])
    refused(done, 125, "itself")


def test_no_permission(tool):
    with started("sleep", "1000") as process:
        done = bare([*OTHER_USER, tool.path, "attach", process.pid],
                    cwd="/tmp")
        refused(done, 125, "root", "CAP_SYS_PTRACE")


def filtered(*arguments):
    return running(ATTACHED / "attached_filtered", *map(str, arguments))


def wait_for_filter(pid):
    until(lambda: status(pid)["Seccomp"] != "0")


@pytest.mark.parametrize("action, number, name", [("forbid", 9, "mmap"), ("kill", 10, "mprotect"), ("kill", 53, "socketpair"), ("forbid", 53, "socketpair"),
                                                  ("kill", 435, "clone3"), ("forbid", 435, "clone3"), ("kill", 87, "unlink")])
def test_seccomp_that_forbids_it(tool, action, number, name):
    """Asked of the filter: trying would kill the process."""
    with filtered(action, number) as pid:
        wait_for_filter(pid)
        refused(attach(tool, pid), 125, "seccomp", "kills for" if action == "kill" else "forbids", name)


@pytest.mark.parametrize("action, number", [("lack", 435), ("forbid", 101), ("kill", 101)], ids=["lack clone3", "forbid ptrace", "kill ptrace"])
def test_seccomp_that_lets_it_pass(tool, action, number):
    with filtered(action, number) as pid:
        wait_for_filter(pid)
        cycle(tool, pid)


def test_strict_seccomp(tool):
    with started(ATTACHED / "attached_filtered", "strict") as process:
        wait_for_filter(process.pid)
        refused(attach(tool, process.pid), 125, "seccomp")
        assert process.poll() is None


def test_traced_from_its_start(tool, stray):
    """By stray run: the shim is there, and in use."""
    process = stray.start(["sleep", "1000"])
    try:
        until(lambda: list(process.trace.glob("*.stray")))
        refused(attach(stray, process.pid), 125, "already traced")
        # no folder of a trace that is none
        refused(stray.call("attach", process.pid, cwd=process.trace), 125, "already traced")
        assert not list(process.trace.glob("stray.*"))
    finally:
        process.kill()
        process.wait()


def test_folder_that_holds_traces(tool, tmp_path):
    (tmp_path / "x.1.stray").write_text("")
    with started("sleep", "1000") as process:
        refused(tool.call("attach", process.pid, "-o", tmp_path), 125, "--force")
        refused(tool.call("attach", process.pid, "-o", "/proc/nosuch/t"), 125)


def test_a_go_program(tool, tmp_path):
    """Its runtime does without libc: that is said. This one has no more of Go than the note of its linker."""
    program, source = tmp_path / "gone", tmp_path / "gone.c"
    source.write_text('__asm__(".section .note.go.buildid,\\"a\\",@note\\n.balign 4\\n.long 4,4,4\\n.asciz \\"Go\\\\0\\"\\n.long 7\\n.previous");\n'
                      "#include <unistd.h>\nint main(void) { sleep(1000); return 0; }\n")
    assert bare(["gcc", "-o", program, source]).returncode == 0
    with started(program) as process:
        until(lambda: "gone" in os.readlink(f"/proc/{process.pid}/exe") and status(process.pid)["State"].startswith("S"))
        done = attach(tool, process.pid, "--for", "0.01")
        assert done.returncode == 0 and "a Go program" in done.stderr
    with running(ATTACHED / "attached_storm") as pid:
        assert "a Go program" not in attach(tool, pid, "--for", "0.01").stderr


def test_library_of_another_version(tool, stray, tmp_path):
    """It stays in the process from an earlier attach; what it was given is closed there."""
    other = stray.copied_to(tmp_path / "other")
    shutil.copy(ATTACHED / "libattached_older_shim.so", other.shim)
    with running(ATTACHED / "attached_storm") as pid:
        before = traits(pid)
        for _ in range(2):
            refused(attach(other, pid, "--for", "0.01"), 125, f"{pid}: ", "another version of stray")
            refused(attach(tool, pid, "--for", "0.01"), 125, f"{pid}: ", "another version of stray")
            until(lambda: traits(pid) == before)
