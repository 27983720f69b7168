#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What hooks of descriptors, libpq and children add to the calls they stand before.

    calls.py BUILD [OTHER.so ...]

Runs of connect_pairs alternate: untraced, traced, traced by each OTHER libstray.so. Of the processor time of each, the lower
sextile counts: what else the machine does only ever adds. Asserts nothing.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

from servers import postgres

ROUNDS = 12
KINDS = {"socket": 10000, "tcp": 2500, "unix": 4000, "pair": 5000, "open": 10000, "dup": 20000, "pipe": 5000, "epoll": 5000,
         "stream": 10000, "traffic": 10000, "tempfile": 500, "pgconn": 10, "pgexec": 1500, "escape": 20000, "fork": 30, "exec": 20}


def run(program, kind, library, settings):
    """Nanoseconds of processor time for each."""
    with tempfile.TemporaryDirectory() as folder:
        traced = {"LD_PRELOAD": str(library), "STRAY_OUTPUT": folder} if library else {}
        done = subprocess.run([program, kind, str(KINDS[kind])], env={**os.environ, **settings, **traced}, stdout=subprocess.PIPE,
                              text=True, check=True)
    return float(done.stdout.split()[0])


def measure(program, libraries, settings):
    print(f"{'kind':8} | untraced ns" + "".join(f" | {path.parent.name or path}: +ns" for path in libraries))
    for kind in KINDS:
        times = {library: [] for library in (None, *libraries)}
        for _ in range(ROUNDS):
            for library, values in times.items():
                values.append(run(program, kind, library, settings))
        plain, *traced = (sorted(values)[ROUNDS // 6] for values in times.values())
        cells = (f"{each - plain:9.0f} {100 * (each / plain - 1):+7.1f} %" for each in traced)
        print(f"{kind:8} | {plain:11.0f} | " + " | ".join(cells), flush=True)


def main():
    build, *others = (pathlib.Path(name).resolve() for name in sys.argv[1:])
    with postgres() as settings:
        measure(build / "tests" / "bench" / "bench_connect_pairs", [build / "libstray.so", *others], settings)


if __name__ == "__main__":
    main()
