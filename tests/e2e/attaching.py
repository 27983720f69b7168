# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of attach share: programs to attach to, what must not change in them, and a tool whose shim is a library of the tests."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, SOAK, STALLS

ATTACHED = BUILD / "tests" / "targets" / "attached"
CYCLES = 50 * SOAK
STALL = re.compile(r"one thread stood still for ([0-9.]+) ms")
OTHER_USER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")
SETXID = 1 << 32  # glibc handles this signal as soon as there is a second thread


@pytest.fixture(scope="module")
def tool(stray, tmp_path_factory):
    """The tool, where other users reach it, with the library of the tests instead of the shim."""
    folder = tmp_path_factory.mktemp("tool")
    for parent in (folder, *folder.parents[:3]):
        if parent.owner() == "root" and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    there = stray.copied_to(folder / "bin")
    if not STALLS:
        shutil.copy(ATTACHED / "libattached_shim.so", there.shim)
    return there


@contextlib.contextmanager
def running(*command, **options):
    """A program of ours that says when it is ready, and, once it is told to stop, whether it is sound."""
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True, **options)
    try:
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.terminate()
        rest, _ = process.communicate(timeout=60)
        assert (process.returncode, rest) == (0, "sound\n")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def started(*command, **options):
    """Any program, killed in the end."""
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def status(pid):
    return dict(re.findall(r"^(\w+):\s*(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))


def traits(pid, files=True):
    """What must not change: handlers, ignored signals, what each thread blocks, and open files where the program opens none itself."""
    found = status(pid)
    threads = {task.name: status(task.name)["SigBlk"] for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}
    return {"ignored": found["SigIgn"], "caught": int(found["SigCgt"], 16) | SETXID, "blocked": threads, "user": found["Uid"],
            "files": sorted(os.listdir(f"/proc/{pid}/fd"), key=int) if files else None}


def attach(tool, pid, *options, **popen):
    return tool.call("attach", pid, "-o", tool.new_folder(), *options, **popen)


def cycle(tool, pid):
    """Once in and out; the trace holds both."""
    folder = tool.new_folder()
    done = tool.call("attach", pid, "-o", folder, "--for", "0.01")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert all(line.startswith("stray: ") for line in done.stderr.splitlines()), done.stderr
    (trace,) = folder.glob("*.stray")
    if STALLS:
        note_stalls(done.stderr)
    else:
        assert list(folder.iterdir()) == [trace]
        lines = trace.read_text().splitlines()
        assert [line for line in lines if "=" not in line] == [f"begin {pid}", f"end {pid}"]
        assert f"STRAY_OUTPUT={folder}" in lines and f"STRAY_TRACE_PATH={trace}" in lines
    shutil.rmtree(folder)


def note_stalls(text):
    attach, detach = STALL.findall(text)
    test = re.sub(r".*::(\S.*) \(call\)", r"\1", os.environ["PYTEST_CURRENT_TEST"])
    with open(STALLS, "a") as file:
        file.write(f"{test}\t{attach}\t{detach}\n")


def cycles(tool, pid, count=CYCLES, files=True):
    before = traits(pid, files)
    for _ in range(count):
        cycle(tool, pid)
    assert traits(pid, files) == before


@contextlib.contextmanager
def attached(tool, pid, *options):
    """A command that is in the middle of it."""
    folder = tool.new_folder()
    command = subprocess.Popen([tool.path, "attach", str(pid), "-o", folder, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = command.stderr.readline()
        assert f"tracing to {folder}/" in line, line
        command.trace = folder
        yield command
    finally:
        command.kill()
        command.communicate()
