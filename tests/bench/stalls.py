# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a thread of a program stood still for attach and for detach, as a table: `scripts/soak.sh attach` writes the file.

    python3 tests/bench/stalls.py FILE COUNT

A line of FILE is one attach and detach: the test, and the two times in milliseconds. Status 1 if a kind has fewer than COUNT.
"""
import collections
import pathlib
import sys

import tables

KINDS = {
    "test_storms[8]": "eight threads, malloc and free only",
    "test_storms[1]": "one thread, malloc and free only",
    "test_python": "Python, four threads",
    "test_uvicorn": "uvicorn under load",
    "test_redis": "redis-server under redis-benchmark",
    "test_postgres_backend": "a PostgreSQL backend",
    "test_asleep": "asleep in `epoll_wait`",
    "test_signals[epoll]": "1000 signals a second, asleep",
    "test_signals[nothing]": "1000 signals a second, computing",
    "test_storms[4 libc]": "four threads, never at a safe point",
}


def read(path):
    cycles = collections.defaultdict(list)
    for line in path.read_text().splitlines():
        test, attach, detach = line.split("\t")
        cycles[test].append((float(attach), float(detach)))
    return cycles


def figure(milliseconds):
    return f"{milliseconds:.2g}" if milliseconds < 10 else f"{milliseconds:.0f}"


def spread(times):
    """Median, 90 % and the longest; of few, the 90 % is the next longer one there is."""
    times = sorted(times)
    return [figure(times[(len(times) - 1) * share // 100]) if times else "-" for share in (50, 90, 100)]


def main(path, count):
    cycles = read(path)
    header = ["process", "cycles", "attach: median", "90 %", "longest", "detach: median", "90 %", "longest"]
    rows = [[name, len(cycles[test]), *spread([times[0] for times in cycles[test]]), *spread([times[1] for times in cycles[test]])]
            for test, name in KINDS.items()]
    print(tables.table(header, rows))
    return 0 if all(len(cycles[test]) >= count for test in KINDS) else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
