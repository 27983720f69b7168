# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers: PostgreSQL as the measured programs need it, and measured ones under a tool. Private folders, free ports, stopped by pid."""
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

from context import ROOT
from measure import bytes_in, fail, started

CLOCK_OF_PROCESS = 2  # as clock_getcpuclockid() makes it


def shell(function, *arguments):
    """Calls a function of scripts/lib.sh."""
    done = subprocess.run(["bash", "-c", f'. "{ROOT}/scripts/lib.sh"; {function} "$@"', "bench", *map(str, arguments)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


@contextlib.contextmanager
def postgres():
    """Yields the environment that clients of a server made for this need."""
    folder = pathlib.Path(shell("make_folder"))
    try:
        shell("postgres_start", folder)
        yield dict(line.split("=", 1) for line in (folder / "pg.env").read_text(encoding="utf-8").splitlines())
    finally:
        shell("postgres_stop", folder)
        shell("rm -rf", folder)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    for _ in range(600):
        if process.poll() is not None:
            fail(f"{process.args}: ended with status {process.returncode}")
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), 1).close()
        time.sleep(0.1)
    return fail(f"{process.args}: does not answer")


def tree(pid):
    """A process and what descends from it."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{each}/task"):
                found += map(int, pathlib.Path(f"/proc/{each}/task/{task}/children").read_text(encoding="ascii").split())
    return found


def cpu_of(pid):
    """Seconds of processor time of a process and all its threads, those that have ended included, by its own clock: the figures in
    /proc come in hundredths of a second."""
    try:
        return time.clock_gettime(~pid << 3 | CLOCK_OF_PROCESS)
    except OSError:
        return 0


class Measured:
    """A server under a tool. `command` has the word PORT where its port belongs."""

    def __init__(self, tool, process, port, folder):
        self.tool, self.process, self.port, self.folder = tool, process, port, folder

    def cpu(self):
        """Seconds of processor time so far, of the server and of the tool."""
        return sum(map(cpu_of, tree(self.process.pid)))

    def stop(self, program):
        """Ends the server itself: a tool may have put a shell in front of it. Whatever ended well has left its trace."""
        for pid in tree(self.process.pid):
            if self.executable(pid) == os.path.realpath(program):
                os.kill(pid, signal.SIGTERM)
        self.process.wait(120)
        if self.tool.leaves and not self.tool.files(self.folder):
            fail(f"{self.tool.name}: {program}: was not traced")
        return bytes_in(self.folder)

    @staticmethod
    def executable(pid):
        with contextlib.suppress(OSError):
            return os.path.realpath(os.readlink(f"/proc/{pid}/exe"))
        return None


@contextlib.contextmanager
def served(tool, command, env=None):
    """A server that answers on its port."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        words = tool.command(*(str(word).replace("PORT", str(port)) for word in command))
        with open(pathlib.Path(folder) / "log", "wb") as log, started(words, cwd=folder, env={**os.environ, **(env or {})}, stdout=log,
                                                                     stderr=log) as process:
            wait_for(port, process)
            yield Measured(tool, process, port, folder)
