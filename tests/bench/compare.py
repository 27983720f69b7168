#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cost of tracing a pair of malloc and free, side by side with heaptrack, in one run.

    compare.py BUILD [--quick]

Runs alternate (untraced, stray, heaptrack, untraced, ...) so that what disturbs the machine disturbs all alike; figures
are medians of the processor time that a pair takes in its own thread. Nothing here passes or fails: figures of a busy
machine are no verdict. What is compared is the added cost, as a ratio.
"""
import argparse
import datetime
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAIRS = 1_000_000


def model():
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def version(command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[0]


def about(build, how):
    """The machine, the versions and the load, for the head of a table."""
    print(f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %z}, {model()}, {os.cpu_count()} processors, "
          f"{platform.system()} {platform.release()}, {platform.libc_ver()[0]} {platform.libc_ver()[1]}")
    print(f"{version([build / 'stray', '--version'])}, {version(['heaptrack', '--version'])}; {how}, load {os.getloadavg()[0]:.2f}")


def tools_of(build):
    return {
        "untraced": [],
        "stray": [build / "stray", "run", "-o", "trace", "--"],
        "stray --full": [build / "stray", "run", "-o", "trace", "--full", "--"],
        "heaptrack": ["heaptrack", "-o", "heaptrack"],
        "heaptrack --raw": ["heaptrack", "--raw", "-o", "heaptrack"],
    }


def pauses(build, pairs):
    """Of the calls that empty a lane: how long they take."""
    with tempfile.TemporaryDirectory() as folder:
        command = [build / "stray", "run", "-o", "trace", "--", build / "tests" / "bench" / "bench_pauses", str(pairs)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=folder, check=True)
    median, tail, longest = done.stdout.split()
    print(f"\nemptying a lane: {median} us, p99 {tail} us, longest {longest} us")


def measure(command, folder):
    """Nanoseconds a pair, the mean of the threads; bytes left in the folder."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, timeout=600)
    if done.returncode != 0:
        sys.exit(f"compare.py: {command}: status {done.returncode}\n{done.stderr}")
    numbers = [float(line) for line in done.stdout.splitlines() if line.replace(".", "", 1).isdigit()]
    if not numbers:
        sys.exit(f"compare.py: {command}: no figures: {done.stdout!r}")
    return statistics.mean(numbers), sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="fewer pairs and rounds: seconds instead of minutes")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    rounds, pairs = (3, PAIRS // 10) if arguments.quick else (9, PAIRS)
    program = build / "tests" / "bench" / "bench_malloc_pairs"
    tools = tools_of(build)
    about(build, f"{pairs} pairs a thread, medians of {rounds} alternating runs")
    print("+ns: nanoseconds a pair above untraced; ratio: that of stray by that of heaptrack; B: bytes on disk a pair\n")
    others = [name for name in tools if name != "untraced"]
    header = [" pairs", "depth", "threads", "untraced ns", *(f"{name} +ns" for name in others), "stray/heaptrack", "stray/--raw",
              *(f"{name} B" for name in others)]
    print(" | ".join(header))
    for kind in ("young", "ring", "random", "cross", "keep"):
        for depth in (5, 30):
            for threads in (1, 2):
                times, sizes = {name: [] for name in tools}, {}
                for _ in range(rounds):
                    for name, prefix in tools.items():
                        with tempfile.TemporaryDirectory() as folder:
                            command = [*prefix, program, depth, threads, pairs, kind]
                            time, sizes[name] = measure(list(map(str, command)), folder)
                            times[name].append(time)
                median = {name: statistics.median(values) for name, values in times.items()}
                added = {name: median[name] - median["untraced"] for name in tools}
                per_pair = {name: sizes[name] / (pairs * threads) for name in tools}
                row = [kind, depth, threads, f"{median['untraced']:.1f}", *(f"{added[name]:.1f}" for name in others),
                       f"{added['stray'] / added['heaptrack']:.3f}", f"{added['stray'] / added['heaptrack --raw']:.3f}",
                       *(f"{per_pair[name]:.3f}" for name in others)]
                print(" | ".join(str(cell).rjust(len(title)) for cell, title in zip(row, header)), flush=True)
    pauses(build, PAIRS)


if __name__ == "__main__":
    main()
