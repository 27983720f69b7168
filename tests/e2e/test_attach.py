# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does a library get into a running process, and out of the way again, without anything that the process could notice?

A library of the tests (tests/targets/attached/shim.c) stands where the shim is, so that what goes wrong is the injector's fault. With
STRAY_STALLS=FILE it is the shim itself, and how long a thread stood still is written to FILE: scripts/soak.sh attach.
"""
import http.client
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import threading
import time

import psycopg2
import pytest

from attaching import ATTACHED, CYCLES, OTHER_USER, attach, attached, cycle, cycles, running, started, status, tool, traits
from conftest import PYTHON, SOAK, SOURCES, STALLS, bare, shell, until
from test_errors import refused


# programs of ours, busy in every way

@pytest.mark.parametrize("arguments", [["1"], ["8"], ["4", "libc"]], ids=" ".join)
def test_storms(tool, arguments):
    """In the last one no thread is ever at a safe point."""
    with running(ATTACHED / "attached_storm", *arguments) as pid:
        cycles(tool, pid, CYCLES if STALLS or len(arguments) == 1 else 20)


@pytest.mark.parametrize("call", ["epoll", "recv", "semop", "sigtimedwait", "nanosleep", "poll", "select", "semaphore"])
def test_calls_that_wait(tool, call):
    """No call returns EINTR, or before its time."""
    with running(ATTACHED / "attached_waits", call) as pid:
        for _ in range(10 * SOAK):
            cycle(tool, pid)


def test_asleep(tool):
    with running(ATTACHED / "attached_waits", "epoll") as pid:
        cycles(tool, pid)


def test_signals_without_effect(tool):
    """Those that nobody handles interrupt no call."""
    with running(ATTACHED / "attached_waits", "epoll") as pid:
        done = threading.Event()

        def send():
            while not done.wait(0.0002):
                os.kill(pid, signal.SIGURG)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            for _ in range(10 * SOAK):
                cycle(tool, pid)
        finally:
            done.set()
            sender.join()


@pytest.mark.parametrize("call", ["epoll", "nothing"])
def test_signals(tool, call):
    """A thousand a second, which interrupt a call or the program's own code."""
    with running(ATTACHED / "attached_waits", call, "ticks") as pid:
        cycles(tool, pid)


def test_python(tool):
    with running(PYTHON, SOURCES / "attached" / "threads.py") as pid:
        cycles(tool, pid)


# servers under load

def test_redis(tool, tmp_path):
    port = shell("free_port")
    with started("redis-server", "--port", port, "--save", "", "--dir", tmp_path) as server:
        until(lambda: bare(["redis-cli", "-p", port, "ping"]).stdout == "PONG\n")
        load = subprocess.Popen(["redis-benchmark", "-p", port, "-q", "-l", "-t", "set,get,lpush,lpop", "-n", "100000"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            for _ in range(CYCLES):
                cycle(tool, server.pid)
            assert load.poll() is None
        finally:
            load.terminate()
            errors = load.communicate()[1]
        assert not errors
        assert bare(["redis-cli", "-p", port, "ping"]).stdout == "PONG\n"


def test_postgres_backend(tool, postgres):
    """Of another user, with one thread."""
    connection = psycopg2.connect(postgres.url)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SELECT pg_backend_pid()")
    (pid,) = cursor.fetchone()
    stopping, sums = threading.Event(), set()

    def query():
        while not stopping.is_set():
            cursor.execute("SELECT sum(number), string_agg(number::text, ',') FROM generate_series(1, 2000) number")
            sums.add(cursor.fetchone()[0])

    load = threading.Thread(target=query)
    load.start()
    try:
        cycles(tool, pid, files=False)
        assert load.is_alive()
    finally:
        stopping.set()
        load.join()
    for _ in range(10):  # and idle
        cycle(tool, pid)
    cursor.execute("SELECT pg_backend_pid()")
    assert cursor.fetchone() == (pid,) and sums == {2001000}
    connection.close()


def test_uvicorn(tool):
    port = int(shell("free_port"))
    stopping, answered, wrong = threading.Event(), [0], []

    def ask(name):
        while not stopping.is_set():
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            for number in range(20):
                client.request("GET", f"/{name}/{number}")
                answer = client.getresponse()
                body = answer.read()
                if answer.status != 200 or body != f"/{name}/{number}".encode() * 20:
                    wrong.append((answer.status, body))
                answered[0] += 1
            client.close()

    with started(PYTHON, "-m", "uvicorn", "--app-dir", SOURCES / "attached", "--port", str(port), "--log-level", "error",
                 "answers:app") as server:
        until(lambda: bare([PYTHON, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}))"]).returncode == 0)
        load = [threading.Thread(target=ask, args=(name,)) for name in ("a", "b")]
        for thread in load:
            thread.start()
        try:
            for _ in range(CYCLES):
                cycle(tool, server.pid)
            assert all(thread.is_alive() for thread in load)
        finally:
            stopping.set()
            for thread in load:
                thread.join()
        assert server.poll() is None
    assert answered[0] > 0 and not wrong


# how it begins and ends

def texts(folder):
    return [path.read_text().splitlines()[-1].split()[0] for path in folder.glob("*.stray")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_to_the_command(tool, number):
    with running(ATTACHED / "attached_storm") as pid, attached(tool, pid) as command:
        command.send_signal(number)
        _, errors = command.communicate(timeout=60)
        assert command.returncode == 0 and "no longer traced" in errors
        assert texts(command.trace) == ["end"]


def test_detach_from_elsewhere(tool):
    with running(ATTACHED / "attached_storm") as pid, attached(tool, pid) as command:
        done = tool.call("detach", pid)
        assert (done.returncode, done.stdout) == (0, "") and "no longer traced" in done.stderr
        _, errors = command.communicate(timeout=60)
        assert command.returncode == 0 and "no longer traced" in errors
        assert texts(command.trace) == ["end"]
        refused(tool.call("detach", pid), 125, "not traced")


def test_command_that_is_killed(tool):
    """The trace goes on; detach ends it."""
    with running(ATTACHED / "attached_storm") as pid, attached(tool, pid) as command:
        command.kill()
        command.wait()
        assert texts(command.trace) == ["begin"]
        refused(attach(tool, pid), 125, "already traced")
        assert tool.call("detach", pid).returncode == 0
        assert texts(command.trace) == ["end"]


def test_command_that_is_killed_at_any_moment(tool):
    """Also half way in or out: the program goes on, and can be attached to."""
    with running(ATTACHED / "attached_storm", "2") as pid:
        for step in range(30 * SOAK):
            command = subprocess.Popen([tool.path, "attach", str(pid), "-o", tool.new_folder(), "--for", "0.01"], stderr=subprocess.DEVNULL)
            time.sleep(0.002 * (step % 30))
            command.kill()
            command.wait()
        until(lambda: len(os.listdir(f"/proc/{pid}/task")) == 2 and status(pid)["TracerPid"] == "0")
        assert tool.call("detach", pid).returncode in (0, 125)
        cycle(tool, pid)


def made_threads(pid, own):
    """Threads of the process that are none of its own."""
    return len(os.listdir(f"/proc/{pid}/task")) - own


def test_command_that_is_stopped_at_any_moment(tool):
    """By Ctrl-Z: before or after a step, never amid one. Once it goes on, all is as if nothing had been."""
    with running(ATTACHED / "attached_storm", "2") as pid:
        stops = 0
        for step in range(60 * SOAK):
            command = subprocess.Popen([tool.path, "attach", str(pid), "-o", tool.new_folder(), "--for", "0.01"], stderr=subprocess.PIPE, text=True,
                                       process_group=0)  # the kernel stops none of a group that nobody watches
            time.sleep(0.001 * (step % 60))
            os.kill(command.pid, signal.SIGTSTP)
            until(lambda: status(command.pid)["State"][0] in "TZ")
            if status(command.pid)["State"].startswith("T"):
                stops += 1
                assert made_threads(pid, own=2) == 0 and status(pid)["TracerPid"] == "0"
                command.send_signal(signal.SIGCONT)
            _, errors = command.communicate(timeout=60)
            assert command.returncode == 0, errors
        assert stops > 0


def test_process_that_ends_first(tool):
    with started("sleep", "1000") as process, attached(tool, process.pid) as command:
        process.kill()
        process.wait()
        _, errors = command.communicate(timeout=60)
        assert command.returncode == 0 and "has ended" in errors


def test_second_attach_while_it_is_traced(tool):
    with running(ATTACHED / "attached_storm") as pid, attached(tool, pid):
        folder = tool.new_folder()
        refused(tool.call("attach", pid, "-o", folder), 125, "already traced")
        assert list(folder.iterdir()) == []


def test_names_of_traces(tool):
    """As those of stray run; a second trace into the same folder has a number."""
    with running(ATTACHED / "attached_storm") as pid:
        folder = tool.new_folder()
        assert tool.call("attach", pid, "-o", folder, "--for", "0.01").returncode == 0
        refused(tool.call("attach", pid, "-o", folder), 125, "--force")
        assert tool.call("attach", pid, "-o", folder, "--for", "0.01", "--force").returncode == 0
        names = sorted(path.name for path in folder.iterdir())
        assert names == [f"attached_storm.{pid}.1.stray", f"attached_storm.{pid}.stray"]
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())


def test_traces_belong_to_the_owner_of_the_folder(tool):
    """Whoever has prepared it for root."""
    with running(ATTACHED / "attached_storm") as pid:
        for owner in (65534, 0):
            folder = tool.new_folder()
            folder.mkdir()
            os.chown(folder, owner, owner)
            done = tool.call("attach", pid, "-o", folder, "--for", "0.01")
            assert done.returncode == 0, done.stderr
            assert [(path.stat().st_uid, path.stat().st_mode & 0o777) for path in folder.iterdir()] == [(owner, 0o600)]


def test_children_that_run_already_are_named(tool):
    """They do the work, most often, and are not traced."""
    def running_by(pid):
        names = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {name: pathlib.Path(f"/proc/{name}/cmdline").read_text().rstrip("\0") for name in names}

    with started("sh", "-c", "true & sleep 0.2; sleep 1000 & sleep 1000 & wait") as process:
        until(lambda: list(running_by(process.pid).values()) == ["sleep\0001000"] * 2)
        names = running_by(process.pid)
        done = attach(tool, process.pid, "--for", "0.01")
        assert done.returncode == 0 and f"are not traced; stray attach each of them that matters: {', '.join(names)}\n" in done.stderr
        for name in names:
            os.kill(int(name), signal.SIGKILL)
    with started("sleep", "1000") as process:
        assert "children" not in attach(tool, process.pid, "--for", "0.01").stderr


def test_options_reach_the_process(tool, tmp_path):
    with running(ATTACHED / "attached_storm") as pid:
        folder = tool.new_folder()
        done = tool.call("attach", pid, "-o", folder, "--for", "0.01", "--depth", "7", "--no-heap", "--spool", tmp_path, "--no-follow")
        assert done.returncode == 0, done.stderr
        lines = next(folder.glob("*.stray")).read_text().splitlines()
        assert {"STRAY_DEPTH=7", "STRAY_HEAP=0", f"STRAY_SPOOL={tmp_path}", "STRAY_FOLLOW=0", f"STRAY_ROOT={pid}"} <= set(lines)
        assert f"STRAY_SPOOL_PATH={tmp_path}/attached_storm.{pid}.stray.spool" in lines


def test_twice_the_same_library(tool):
    """It is loaded once."""
    with running(ATTACHED / "attached_storm") as pid:
        for _ in range(3):
            cycle(tool, pid)
        maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
        assert len(re.findall(r"r-xp .*libstray", maps)) == 1
        assert "rwx" not in maps


# elsewhere

def test_another_mount_namespace(tool, tmp_path):
    """Where our files cannot be seen: the library comes as a copy in memory."""
    command = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs none {tool.path.parent} && exec {ATTACHED}/attached_storm 2"]
    with running(*command) as pid:
        assert not pathlib.Path(f"/proc/{pid}/root{tool.shim}").exists()
        before = traits(pid)
        for _ in range(5):
            cycle(tool, pid)
        assert traits(pid) == before
        assert "memfd:libstray.so" in pathlib.Path(f"/proc/{pid}/maps").read_text()


def test_another_root_folder(tool, tmp_path):
    """Where there is a /proc, the library comes as a copy; where there is none, that is said."""
    program = ATTACHED / "attached_storm"
    for path in (program, *re.findall(r"/\S+", bare(["ldd", program]).stdout)):
        there = tmp_path / str(path).lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there)
    with running("chroot", tmp_path, program) as pid:
        before = traits(pid)
        refused(attach(tool, pid, "--for", "0.01"), 125, f"{pid}: ", "/proc")
        until(lambda: traits(pid) == before)
    (tmp_path / "proc").mkdir()
    with running("unshare", "-m", "sh", "-c", f"mount -t proc none {tmp_path}/proc && exec chroot {tmp_path} {program}") as pid:
        cycle(tool, pid)


def test_another_pid_namespace(tool):
    """Where it and its threads have other numbers than here."""
    with subprocess.Popen(["unshare", "-p", "-f", "--kill-child", "--mount-proc", ATTACHED / "attached_storm", "2"], stdout=subprocess.PIPE, text=True) as outer:
        try:
            assert outer.stdout.readline() == "ready\n"
            pid = int(pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text())
            before = traits(pid)
            for _ in range(5):
                folder = tool.new_folder()
                assert tool.call("attach", pid, "-o", folder, "--for", "0.01").returncode == 0
                assert "begin 1" in next(folder.iterdir()).read_text()
            assert traits(pid) == before
        finally:
            outer.kill()


def test_stopped_meanwhile(tool):
    """It cannot be left then; once it goes on, it can."""
    with running(ATTACHED / "attached_storm", "2") as pid, attached(tool, pid) as command:
        os.kill(pid, signal.SIGSTOP)
        until(lambda: status(pid)["State"].startswith("T"))
        command.terminate()
        _, errors = command.communicate(timeout=60)
        os.kill(pid, signal.SIGCONT)
        assert command.returncode == 125 and "stopped" in errors and f"stray detach {pid}" in errors
        until(lambda: not status(pid)["State"].startswith("T"))
        assert tool.call("detach", pid).returncode == 0


def test_another_user(tool):
    """Who may neither read our files nor write to our folder."""
    tool.shim.chmod(0o600)
    try:
        with running(*OTHER_USER, *copied(tool, "attached_storm", "2")) as pid:
            for _ in range(5):
                cycle(tool, pid)
    finally:
        tool.shim.chmod(0o755)


def copied(tool, name, *arguments):
    """A target where everybody may run it."""
    return [shutil.copy(ATTACHED / name, tool.path.parent), *arguments]


def test_deleted_program(tool, tmp_path):
    program = shutil.copy(ATTACHED / "attached_storm", tmp_path)
    with running(program) as pid:
        os.unlink(program)
        cycle(tool, pid)


def test_no_descriptor_is_free(tool):
    with running(ATTACHED / "attached_storm", "2") as pid:
        before = traits(pid)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(before["files"]), 4096))
        refused(attach(tool, pid), 125, "Too many open files")
        until(lambda: traits(pid) == before)


def test_one_descriptor_too_few_is_free(tool):
    """What has reached it is closed there."""
    with running(ATTACHED / "attached_storm", "2") as pid:
        before = traits(pid)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(before["files"]) + 2, 4096))
        refused(attach(tool, pid), 125, "Too many open files")
        until(lambda: traits(pid) == before)


def test_another_file_where_the_spool_was(tool, tmp_path):
    """Whoever can write to the folder does not choose what the user of the command removes."""
    victim = tmp_path / "victim"
    victim.write_text("dear")
    with running(*OTHER_USER, *copied(tool, "attached_storm", "2")) as pid, attached(tool, pid) as command:
        (spool,) = command.trace.glob("*.spool")
        spool.unlink()
        spool.symlink_to(victim)
        command.terminate()
        command.communicate(timeout=60)
    assert victim.exists()


def test_process_that_has_opened_a_trace(tool, tmp_path):
    """Nor does the process, by what it has open."""
    victim, bait = tmp_path / "victim", tmp_path / "bait.stray"
    victim.write_text("dear")
    tmp_path.joinpath("bait.stray.spool").symlink_to(victim)
    with bait.open("w") as file, running(ATTACHED / "attached_storm", "2", stdin=file) as pid, attached(tool, pid):
        assert tool.call("detach", pid).returncode == 0
    assert victim.exists()


# a machine that stands still

MAPS = """
import mmap, signal, socket, time
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
maps = [mmap.mmap(-1, 65536, flags=mmap.MAP_PRIVATE) for _ in range(400)]
pair[1].setblocking(False)
print("ready", flush=True)
while not stopping:
    if len(maps) < 800:
        maps.append(mmap.mmap(-1, 65536, flags=mmap.MAP_PRIVATE))
    time.sleep(0.002)
try:
    sound = not pair[1].recv(100)
except BlockingIOError:
    sound = all(area[:] == bytes(65536) for area in maps)
print("sound" if sound else "spoiled")
"""


def stalled(tool, pid, how):
    """The command, on a machine where it stands still at a certain point for longer than the made thread waits (stalled.c)."""
    library = ATTACHED / "libattached_stalled.so"
    return attach(tool, pid, "--for", "0.01", env={**os.environ, "LD_PRELOAD": str(library), "STALLED": str(how)})


def test_command_that_stands_still_writes_to_no_memory_of_others(tool):
    """The thread has gone meanwhile, and the program may use for its own what was mapped there."""
    with running(PYTHON, "-c", MAPS) as pid:
        before = traits(pid)
        refused(stalled(tool, pid, "put"), 125, f"{pid}: ", "stood still")
        until(lambda: traits(pid) == before)
        cycle(tool, pid)


def test_command_that_stands_still_talks_to_no_socket_of_others(tool):
    """The thread has gone meanwhile, and the program has another socket under the number of its own."""
    with running(PYTHON, "-c", MAPS) as pid:
        before = traits(pid)
        (number, *_) = (int(name) for name in before["files"] if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"))
        refused(stalled(tool, pid, number), 125, f"{pid}: ", "stood still")
        until(lambda: traits(pid) == before)
