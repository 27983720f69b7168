# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shim itself, attached to services that run: what they leak while it is there, and what they had before."""
import array
import os
import pathlib
import re
import resource
import signal
import subprocess

import pytest

from attaching import ATTACHED, attached, running, traits
from conftest import PYTHON, SOAK, SOURCES


@pytest.fixture
def service(listener):
    """A service that has leaked 50 connections, and leaks another with each line it is sent."""
    process = subprocess.Popen([PYTHON, SOURCES / "attached" / "leaks.py", str(listener)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def leak(count):
        process.stdin.write("leak\n" * count)
        process.stdin.flush()
        for _ in range(count):
            assert process.stdout.readline() == "leaked\n"

    process.leak = leak
    leak(50)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_connections_before_and_since(stray, service, listener):
    folder = stray.new_folder()
    command = subprocess.Popen([stray.path, "attach", str(service.pid), "-o", folder], stderr=subprocess.PIPE, text=True)
    assert "tracing to" in command.stderr.readline()
    service.leak(100)
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=60)
    assert command.returncode == 0 and "no longer traced" in errors
    service.leak(10)  # which nobody sees
    report = stray.report(folder)
    process = report.process()
    assert (process["pid"], process["end"]) == (service.pid, "detached")
    assert report.connections(f"127.0.0.1:{listener}")["opened"] == 100
    (before,) = [row for row in process["before_attach"]["connections"] if row["peer"] == f"127.0.0.1:{listener}"]
    assert (before["open"], before["closed"], before["kind"]) == (50, 0, "client")
    (finding,) = report.find("leak_one", "connection")
    lines = (SOURCES / "attached" / "leaks.py").read_text().splitlines()
    assert finding["count"] == 100
    assert "connect" in lines[finding["site"]["line"] - 1] and finding["site"]["file"].endswith("leaks.py")
    assert len(os.listdir(f"/proc/{service.pid}/fd")) == 3 + 160
    assert not list(folder.glob("*.spool"))


def test_a_second_time(stray, service, listener):
    """What was leaked under the first trace was there before the second."""
    before = 50
    for count in (3, 7):
        folder = stray.new_folder()
        command = subprocess.Popen([stray.path, "attach", str(service.pid), "-o", folder], stderr=subprocess.PIPE, text=True)
        assert "tracing to" in command.stderr.readline()
        service.leak(count)
        assert stray.call("detach", service.pid).returncode == 0
        command.communicate(timeout=60)
        assert command.returncode == 0
        report = stray.report(folder)
        assert report.connections(f"127.0.0.1:{listener}")["opened"] == count
        assert report.process()["before_attach"]["resources"]["connection"]["open"] == before
        before += count


def test_what_run_began(stray, listener):
    """detach ends that, too; the process runs on, and may be attached to."""
    folder = stray.new_folder()
    service = subprocess.Popen([stray.path, "run", "-o", folder, "--", PYTHON, SOURCES / "attached" / "leaks.py", str(listener)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        for count in (30, 10):  # nobody sees the ten
            service.stdin.write("leak\n" * count)
            service.stdin.flush()
            assert [service.stdout.readline() for _ in range(count)] == ["leaked\n"] * count
            if count == 30:
                assert stray.call("detach", service.pid).returncode == 0
        report = stray.report(folder)
        assert report.process()["end"] == "detached" and report.connections(f"127.0.0.1:{listener}")["opened"] == 30
        assert stray.call("attach", service.pid, "-o", stray.new_folder(), "--for", "0.1").returncode == 0
    finally:
        service.kill()
        service.communicate()


@pytest.mark.parametrize("command", [[ATTACHED / "attached_storm", "1"], [ATTACHED / "attached_storm", "8"], [ATTACHED / "attached_storm", "4", "libc"],
                                     [ATTACHED / "attached_waits", "epoll"], [ATTACHED / "attached_waits", "nothing", "ticks"],
                                     [PYTHON, SOURCES / "attached" / "threads.py"]], ids=lambda command: " ".join(os.path.basename(word) for word in command))
def test_programs_go_on(stray, command):
    """In and out, again and again; every trace is sound."""
    with running(*command) as pid:
        before = traits(pid)
        for _ in range(5 * SOAK):
            folder = stray.new_folder()
            done = stray.call("attach", pid, "-o", folder, "--for", "0.05")
            assert (done.returncode, done.stdout) == (0, ""), done.stderr
            verified = stray.call("verify", folder)
            assert verified.returncode == 0, verified.stdout + verified.stderr
            assert stray.report(folder).process()["end"] == "detached"
        assert traits(pid) == before


def slots_of_hooks(pid):
    """How many words in what other objects have mapped lead into the shim; its own unwinder is no other object."""
    maps = [re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ (\d+) *(.*)", line).groups() for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()]
    code = [(int(start, 16), int(end, 16)) for start, end, rights, _, path in maps if "libstray" in path and "x" in rights]
    assert code
    count = 0
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for start, end, rights, inode, path in maps:
            if "libstray" in path or "libunwind" in path or inode == "0" or not rights.startswith("r") or "x" in rights:
                continue
            memory.seek(int(start, 16))
            words = array.array("Q", memory.read(int(end, 16) - int(start, 16)))
            count += sum(low <= word < high for word in words for low, high in code)
    return count


def test_no_descriptor_is_free_at_the_end(stray):
    """Those who have run out of descriptors are the ones that one looks at: the hooks are taken back without any."""
    with running(ATTACHED / "attached_storm", "2") as pid:
        before = traits(pid)
        with attached(stray, pid) as command:
            assert slots_of_hooks(pid) > 0
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 4096))
            done = stray.call("detach", pid)
            assert done.returncode == 0, done.stderr
            command.communicate(timeout=60)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, 4096))
        assert traits(pid) == before and slots_of_hooks(pid) == 0
        assert stray.report(command.trace).process()["end"] == "detached"
