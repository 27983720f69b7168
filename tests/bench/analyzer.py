#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast traces are read, on one processor and on all, beside heaptrack_print; and how much memory that takes.

    analyzer.py BUILD [--quick]

Runs alternate; figures are medians. Events a second: original events (acquires and releases) by the processor time that
reading took on one processor, and by the time that passed on all of them, which other load on the machine makes worse.
'decoded' is stray verify, 'paired' stray report. Nothing here passes or fails.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import machine
from context import ROOT

WORDS = {"stray verify": "decoded", "stray report": "paired", "heaptrack_print": "heaptrack_print"}


def processors(count):
    return sorted(os.sched_getaffinity(0))[:count]


def resident(pid):
    """The peak so far, in KiB. What wait4() tells holds this interpreter's memory as well: that of the child before its exec."""
    try:
        if os.readlink(f"/proc/{pid}/exe") == os.readlink("/proc/self/exe"):
            return 0
        return int(pathlib.Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):  # it has just ended
        return 0


def measure(command, cpus):
    """Processor seconds, seconds, peak KiB."""
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, cpus)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.execvp(command[0], command)
    peak = 0
    while not (done := os.wait4(child, os.WNOHANG))[0]:
        peak = max(peak, resident(child))
        time.sleep(0.01)
    _, status, usage = done
    if status != 0:
        sys.exit(f"analyzer.py: {command}: status {status}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - begun, peak


def rows(title, events, commands, rounds):
    all_of_them = processors(len(os.sched_getaffinity(0)))
    found = {}
    for _ in range(rounds):
        for name, command in commands.items():
            for cpus in {1: processors(1), len(all_of_them): all_of_them}.values():
                found.setdefault((name, len(cpus)), []).append(measure(command, cpus))
    for name in commands:
        alone = found[name, 1]
        together = found[name, len(all_of_them)]
        cpu = statistics.median(run[0] for run in alone)
        wall = [statistics.median(run[1] for run in runs) for runs in (alone, together)]
        peak = max(run[2] for run in together)
        print(f"{title:>24} | {WORDS[name]:>15} | {events / cpu / 1e6:12.1f} | {events / wall[0] / 1e6:11.1f} | "
              f"{events / wall[1] / 1e6:7.1f} | {wall[1]:9.1f} | {peak / 1024:8.1f}", flush=True)


def reading(build, trace):
    return {f"stray {verb}": [str(build / "stray"), verb, str(trace)] for verb in ("verify", "report")}


def program(build, folder, kind, pairs, rounds):
    """A program with both tools' traces."""
    command = list(map(str, [build / "tests" / "bench" / "bench_malloc_pairs", 30, 2, pairs, kind]))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, "check": True}
    subprocess.run([build / "stray", "run", "--full", "-o", kind, "--", *command], **quiet)
    subprocess.run(["heaptrack", "-o", f"heaptrack.{kind}", *command], **quiet)
    other, = pathlib.Path(folder).glob(f"heaptrack.{kind}*")
    commands = reading(build, pathlib.Path(folder) / kind)
    commands["heaptrack_print"] = ["heaptrack_print", str(other)]
    rows(f"malloc pairs, {kind}", 4 * pairs, commands, rounds)


def made(build, folder, gigabytes, rounds):
    """As many events as fill so many GB of 32 bytes each."""
    events = int(gigabytes * 1e9) // 32
    trace = pathlib.Path(folder) / "made.stray"
    subprocess.run([build / "tests" / "bench" / "bench_make_trace", trace, str(events)], check=True)
    rows(f"made, {gigabytes} GB ({trace.stat().st_size / 1e9:.2f} GB)", events, reading(build, trace), rounds)
    trace.unlink()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="smaller traces, fewer rounds")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    rounds = 3 if arguments.quick else 5
    print(machine.about(build, ROOT))
    print(f"Medians of {rounds} alternating runs.")
    print("M/s: million events a second. MiB: peak resident memory on all processors\n")
    print(f"{'trace':>24} | {'':>15} | {'M/s cpu time':>12} | {'M/s on one':>11} | {'M/s all':>7} | {'seconds':>9} | {'MiB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("random", "keep"):
            program(build, folder, kind, 300_000 if arguments.quick else 3_000_000, rounds)
        for gigabytes in (0.1, 1) if arguments.quick else (1, 10):
            made(build, folder, gigabytes, 1 if gigabytes >= 1 else rounds)


if __name__ == "__main__":
    main()
