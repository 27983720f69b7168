# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does top show what a running process holds, follow it, and give the terminal back whatever ends it?"""
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import pytest

from conftest import PYTHON, TIMEOUT, readable

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
HOLDER = """
import socket, sys, time
kept, server = [], socket.create_server(("127.0.0.1", 0), backlog=4096)
def opens():
    kept.append(socket.create_connection(server.getsockname()))
for _ in range(20):
    opens()
    time.sleep(0.02)
print("ready", flush=True)
while sys.stdin.readline():
    opens()
"""


@pytest.fixture
def holder(stray):
    """A traced process that holds 20 connections, and opens one more for each line."""
    process = stray.start([PYTHON, "-c", HOLDER], stdin=-1, stdout=-1, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


class Terminal:
    """The tool on a terminal of its own."""

    def __init__(self, stray, *arguments, rows=30, columns=100, env=None):
        self.seen = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                self.resize(rows, columns, 0)
                environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
                os.execve(stray.path, ["stray", "top", *map(str, arguments)], {**environment, "TERM": "xterm", **(env or {})})
            finally:
                os._exit(127)

    def resize(self, rows, columns, fd=None):
        fcntl.ioctl(self.master if fd is None else fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_some(self):
        try:
            data = os.read(self.master, 65536) if readable(self.master, 1) else b""
        except OSError:  # the other side is closed
            return False
        self.seen += data
        return True

    def wait_for(self, pattern):
        end = time.monotonic() + TIMEOUT / 2
        while not re.search(pattern, self.seen, re.DOTALL):
            assert self.read_some() and time.monotonic() < end, (pattern, self.seen)

    def flags(self):
        return termios.tcgetattr(self.master)[3] & (termios.ICANON | termios.ECHO)

    def status(self):
        while self.read_some():
            if (done := os.waitpid(self.pid, os.WNOHANG))[0]:
                break
        else:
            done = os.waitpid(self.pid, 0)
        flags = self.flags()
        while readable(self.master, 0) and self.read_some():
            pass
        assert flags == termios.ICANON | termios.ECHO, "keys are as they were"
        assert self.seen.count(ENTER) == self.seen.count(LEAVE) == 1 and self.seen.endswith(b"\x1b[?25h" + LEAVE), self.seen[-200:]
        return done[1]

    def close(self):
        os.close(self.master)


@pytest.fixture
def terminal(stray):
    opened = []

    def make(*arguments, **options):
        opened.append(Terminal(stray, *arguments, **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def screens(seen):
    """Each drawing as lines of text, without sequences."""
    return [re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", drawn).decode().split("\r\n") for drawn in seen.split(b"\x1b[H")[1:]]


@pytest.mark.parametrize("by", ["pid", "folder"])
def test_what_is_written_once(stray, holder, by):
    done = stray.call("top", holder.pid if by == "pid" else holder.trace)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert re.search(r"^ +20 +20 +0  connection +opens\(\) +<string>:5 +127\.0\.0\.1:\d+$", done.stdout, re.M), done.stdout
    assert re.search(r"^\[1\] LEAKED  connection  20 ", done.stdout, re.M) and "\x1b" not in done.stdout
    assert done.stdout.startswith("stray top  python3")
    assert "WHERE RSS WENT" in done.stdout and max(map(len, done.stdout.splitlines())) <= 110


def test_places_are_chosen_as_by_sites(stray, holder):
    for options, shown in [(["--site", "opens", "--resource", "connection"], True), (["--peer", "127.*", "--sort", "opened"], True),
                           (["--min", "20"], True), (["--site", "closes"], False), (["--min", "21"], False), (["--since", "1h"], False)]:
        done = stray.call("top", holder.trace, *options)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert bool(re.search(r"^ +20 +20 +0  connection +opens\(\)", done.stdout, re.M)) == shown, (options, done.stdout)


def test_what_cannot_be_shown_is_told_in_one_line(stray, tmp_path):
    for argument, reason in [(os.getpid(), "is not traced"), (2 ** 40, "no such process"), (tmp_path / "none", "No such file"),
                             ("--wrong", "unknown option")]:
        done = stray.call("top", argument, cwd=tmp_path)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1) and reason in done.stderr, done
    assert stray.call("top", cwd=tmp_path).returncode == 2


def test_a_process_that_is_no_longer_traced(stray, tmp_path):
    with subprocess.Popen(["sleep", "100"]) as process:
        try:
            stray.call("attach", process.pid, "-o", "elsewhere", "--for", "0.01", cwd=tmp_path)
            done = stray.call("top", process.pid, cwd=tmp_path)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr == f"stray: {process.pid}: is no longer traced (say where its trace is instead)\n"
            for folder in "stray.new", "stray.old":
                stray.call("attach", process.pid, "-o", folder, "--for", "0.01", cwd=tmp_path)
            os.utime(tmp_path / "stray.old" / f"sleep.{process.pid}.stray", (0, 0))
            done = stray.call("top", process.pid, cwd=tmp_path)
            assert (done.returncode, done.stderr) == (0, f"stray: {process.pid}: is no longer traced: this was its last trace here\n")
            assert done.stdout == stray.call("top", tmp_path / "stray.new").stdout
        finally:
            process.kill()


def test_it_follows_until_q(holder, terminal):
    shown = terminal(holder.pid)
    shown.wait_for(rb" 20 +20 +0  connection")
    assert shown.flags() == 0 and shown.seen.startswith(ENTER)
    for _ in range(5):
        holder.stdin.write("\n")
    holder.stdin.flush()
    shown.wait_for(rb" 25 +25 +0  connection")
    holder.kill()
    holder.wait()
    drawn = len(screens(shown.seen))
    while len(screens(shown.seen)) < drawn + 2:  # what it held last stays
        shown.read_some()
    assert any(re.match(" +25 +25 +0  connection", line) for line in screens(shown.seen)[-2]), shown.seen  # the last may be half read
    os.write(shown.master, b"q")
    assert shown.status() == 0


def read_by(pid):
    """Bytes that the process has read so far."""
    with open(f"/proc/{pid}/io") as file:
        return int(re.search(r"rchar: (\d+)", file.read())[1])


def test_what_has_ended_is_read_once(holder, terminal):
    holder.kill()
    holder.wait()
    shown = terminal(holder.trace)
    shown.wait_for(rb" 20 +20 +0  connection")
    before, size = read_by(shown.pid), sum(path.stat().st_size for path in holder.trace.glob("*.stray"))
    time.sleep(2.2)
    assert read_by(shown.pid) - before < size
    os.write(shown.master, b"q")
    assert shown.status() == 0


@pytest.mark.parametrize("how, status", [("ctrl-c", 0), (signal.SIGINT, 0), (signal.SIGTERM, signal.SIGTERM),
                                         (signal.SIGHUP, signal.SIGHUP)])
def test_every_way_out_gives_the_terminal_back(holder, terminal, how, status):
    shown = terminal(holder.trace)
    shown.wait_for(rb"OPEN ")
    if how == "ctrl-c":
        os.write(shown.master, b"\x03")
    else:
        os.kill(shown.pid, how)
    assert shown.status() == status


def test_lines_are_cut_and_the_size_may_change(holder, terminal):
    shown = terminal(holder.trace, rows=5, columns=30)
    shown.wait_for(rb"\x1b\[H.*\x1b\[J")
    narrow = screens(shown.seen)[0]
    assert len(narrow) == 5 and all(len(line) <= 30 for line in narrow), narrow
    shown.resize(40, 109)
    shown.wait_for(rb"LEAKED")
    wide = [screen for screen in screens(shown.seen) if len(screen) > 5][0]
    assert max(map(len, wide)) > 30
    os.write(shown.master, b"q")
    assert shown.status() == 0


@pytest.mark.parametrize("env, colored", [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_colours(holder, terminal, env, colored):
    shown = terminal(holder.trace, env=env)
    shown.wait_for(rb"LEAKED")
    os.write(shown.master, b"q")
    assert shown.status() == 0
    assert (b"\x1b[1" in shown.seen) == colored


@pytest.mark.parametrize("options, env, colored", [(["--color"], {}, True), (["--color=always"], {"NO_COLOR": "1"}, True), (["--color=never"], {}, False),
                                                   (["--color=auto"], {}, False)])
def test_colours_as_asked(stray, holder, options, env, colored):
    done = stray.call("top", holder.trace, *options, env={**os.environ, **env})
    assert (done.returncode, done.stderr, "\x1b[1;31m" in done.stdout) == (0, "", colored)


def test_once_on_a_terminal(stray, holder, terminal):
    shown = terminal("--once", holder.trace)
    shown.wait_for(rb"LEAKED")
    os.waitpid(shown.pid, 0)
    assert ENTER not in shown.seen


def test_terminal_that_goes_away_without_a_word(stray, holder):
    """No signal tells of the end of a terminal that is not the session's own."""
    master, slave = pty.openpty()
    process = subprocess.Popen([stray.path, "top", holder.trace], stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        os.close(slave)
        assert readable(master, TIMEOUT / 2)
        os.close(master)
        assert process.wait(timeout=TIMEOUT / 2) == 0
    finally:
        process.kill()
        process.wait()
