# SPDX-License-Identifier: LGPL-2.1-or-later
"""Long traces: read the same by one thread and by several, in memory that does not grow with them, with a bar that leaves
nothing behind."""
import os
import pathlib
import pty
import subprocess
import time

import pytest

from conftest import BUILD, TIMEOUT, readable

STRAY = str(BUILD / "stray")
ONE = min(os.sched_getaffinity(0))
WRITE = 1  # the number of the system call
ALL = len(os.sched_getaffinity(0))


def make(path, events):
    subprocess.run([BUILD / "tests" / "bench" / "bench_make_trace", path, str(events)], check=True, timeout=TIMEOUT)
    return path


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made") / "made.stray", 300_000)


@pytest.fixture(scope="module")
def damaged(trace):
    """Every fiftieth or so of its frames is wrong."""
    content = bytearray(trace.read_bytes())
    for at in range(200_000, len(content), 500_000):
        content[at:at + 8] = b"\xff" * 8
    path = trace.with_name("damaged.stray")
    path.write_bytes(content)
    return path


def call(arguments, prefix=()):
    done = subprocess.run([*prefix, STRAY, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("verb", [["report", "--format", "json", "--all"], ["verify"], ["dump"], ["info"]], ids=lambda verb: verb[0])
@pytest.mark.parametrize("kind", ["trace", "damaged"])
def test_the_same_on_one_processor_and_on_all(request, kind, verb):
    path = request.getfixturevalue(kind)
    alone = call([*verb, path], ["taskset", "-c", str(ONE)])
    together = call([*verb, path])
    assert len(alone[1]) > 50
    assert alone == together
    if verb == ["verify"]:
        assert (b"damaged frames" in alone[1]) == (kind == "damaged")


def test_standard_input(trace):
    done = subprocess.run([STRAY, "verify", "-"], capture_output=True, input=trace.read_bytes(), timeout=TIMEOUT)
    assert done.returncode == 0 and b"sound" in done.stdout, done


def full_pipe():
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    try:
        while os.write(theirs, bytes(4096)):
            pass
    except BlockingIOError:
        os.set_blocking(theirs, True)
    return ours, theirs


def writes_to_its_output(proc):
    """By whatever descriptor."""
    number, first, *_ = (proc / "syscall").read_text().split() + ["", ""]
    return number == str(WRITE) and os.readlink(proc / "fd" / str(int(first, 16))) == os.readlink(proc / "fd" / "1")


def peak(arguments):
    """KiB of resident memory when it comes to write its result, which must wait. What wait4() tells is no use: it holds the
    memory of the child before its exec, which is this interpreter's."""
    ours, theirs = full_pipe()
    child = subprocess.Popen([STRAY, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=theirs)
    os.close(theirs)
    proc = pathlib.Path(f"/proc/{child.pid}")
    end = time.monotonic() + TIMEOUT
    while not writes_to_its_output(proc):
        assert child.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    found = int((proc / "status").read_text().split("VmHWM:")[1].split()[0])
    while os.read(ours, 65536):
        pass
    os.close(ours)
    assert child.wait(TIMEOUT) == 0
    return found


@pytest.mark.parametrize("verb, factor", [("report", 1.25), ("verify", 1.1)])
def test_memory_does_not_grow_with_the_events(tmp_path, verb, factor):
    """The live blocks and the places are as many in both, 100,000 and 5,000, and all of them have been seen in both. A list of
    the frames alone would make the second figure of verify larger by nearly a half."""
    small, large = (peak([verb, make(tmp_path / "made.stray", events)]) for events in (8_000_000, 32_000_000))
    assert large < factor * small + 512, (small, large)


# ---- the bar ----

class Dump:
    """stray dump, whose output nobody takes until asked to: it waits as long as one likes."""

    def __init__(self, trace, prefix=(), **environment):
        self.terminal, other = pty.openpty()
        self.child = subprocess.Popen([*prefix, STRAY, "dump", str(trace)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=other, env={**os.environ, "TERM": "xterm", **environment})
        os.close(other)
        if not readable(self.child.stdout, TIMEOUT):
            raise AssertionError("nothing comes")

    def finish(self):
        """What was written to the terminal."""
        assert len(self.child.stdout.read()) > 1_000_000
        assert self.child.wait(TIMEOUT) == 0
        self.child.stdout.close()
        written = b""
        try:
            while piece := os.read(self.terminal, 65536):
                written += piece
        except OSError:  # how a terminal ends
            pass
        os.close(self.terminal)
        return written.decode()


def screen(written):
    """What is left to be seen of one line."""
    cells, at = {}, 0
    for character in written:
        assert character.isprintable() or character == "\r", repr(written)
        if character == "\r":
            at = 0
        else:
            cells[at] = character
            at += 1
    return "".join(cells[i] for i in sorted(cells)).strip()


def test_a_bar_for_long_work_leaves_nothing_behind(trace):
    dump = Dump(trace)
    time.sleep(1.2)  # longer than the second for which it keeps quiet
    written = dump.finish()
    assert "reading [" in written and " %" in written
    assert screen(written) == ""


@pytest.mark.parametrize("term", ["dumb", None])
def test_no_bar_where_it_cannot_be_shown(trace, term):
    dump = Dump(trace, ["env", "-u", "TERM"] if term is None else [], TERM=term or "")
    time.sleep(1.2)
    assert dump.finish() == ""


def test_no_bar_in_a_pipe(trace):
    child = subprocess.Popen([STRAY, "dump", str(trace)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1.2)
    output, errors = child.communicate(timeout=TIMEOUT)
    assert (child.returncode, errors) == (0, b"") and len(output) > 1_000_000


# ---- threads ----

@pytest.mark.parametrize("prefix, threads", [([], ALL > 1), (["taskset", "-c", str(ONE)], False)], ids=["all", "one"])
def test_threads_where_there_are_processors_for_them(trace, prefix, threads):
    dump = Dump(trace, prefix)
    assert (len(os.listdir(f"/proc/{dump.child.pid}/task")) > 1) == threads
    dump.finish()
