# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs commands and says what they took; runs alternatives in turn, so that what disturbs the machine disturbs all alike."""
import contextlib
import dataclasses
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

TIMEOUT = 900


@dataclasses.dataclass(frozen=True)
class Taken:
    wall: float   # seconds until the command had ended
    cpu: float    # seconds of processor time of it and of all that it started
    output: str
    stored: int   # bytes that it left in its folder


class Failed(Exception):
    """A measured command did not end well."""


def fail(text):
    sys.exit(f"bench: {text}")


@contextlib.contextmanager
def started(command, **options):
    """A command in a process group of its own, of which nothing is left afterwards."""
    process = subprocess.Popen(list(map(str, command)), start_new_session=True, **{"stdin": subprocess.DEVNULL, **options})
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def finish(process, what):
    """Waits for the end; returns what it printed. Raises Failed where it was not a good end."""
    output, errors = process.communicate(timeout=TIMEOUT)
    if process.returncode != 0:
        raise Failed(f"{' '.join(map(str, what))}: status {process.returncode}: {(errors or '').strip()}")
    return output or ""


def bytes_in(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


class Runner:
    """Runs commands under tools, each in a new folder."""

    def __init__(self, build):
        self.build = build

    def run(self, tool, words, look=None, env=None):
        """`look(tool, folder)` is called before the folder goes."""
        with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("r") as report:
            command = [self.build / "tests" / "bench" / "bench_spent", report.name, *tool.command(*words)]
            with started(command, cwd=folder, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True) as process:
                output = finish(process, command[2:])
            if tool.leaves and not tool.files(folder):
                raise Failed(f"{' '.join(map(str, command[2:]))}: was not traced: no {tool.leaves}")
            if look:
                look(tool, folder)
            wall, cpu = (int(word) / 1e9 for word in report.read().split())
            return Taken(wall, cpu, output, bytes_in(folder))

    def in_turn(self, tools, words, rounds, **options):
        """{name: [Taken, ...]}; a tool of others may fail."""
        others = [tool.name for tool in tools if tool.name != "untraced" and not tool.name.startswith("stray")]
        return in_turn({tool.name: lambda tool=tool: self.run(tool, words, **options) for tool in tools}, rounds, others)


def in_turn(alternatives, rounds, may_fail=()):
    """Calls each once a round, another one first each time; {name: [result, ...]}, where equal places are of one round. Those of
    `may_fail` that raise Failed are left out from then on."""
    results = {name: [] for name in alternatives}
    for turn in range(rounds):
        names = list(results)
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            try:
                results[name].append(alternatives[name]())
            except Failed as failure:
                if name not in may_fail:
                    fail(failure)
                print(f"{name}: fails: {failure}", file=sys.stderr, flush=True)
                del results[name]
    return results


@dataclasses.dataclass(frozen=True)
class Spread:
    median: float
    low: float   # quartiles
    high: float

    def over(self, limit):
        return self.median > limit


def spread(values):
    values = list(values)
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def relative(values, base):
    """How much more than `base`, round by round: a Spread of shares, 0.02 being 2 %."""
    return spread(value / other - 1 for value, other in zip(values, base))


def median_of(results, field):
    return statistics.median(getattr(each, field) for each in results)
