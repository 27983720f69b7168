#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Measures what tracing and reading traces cost, side by side with untraced runs and other tools, and prints tables; the last lines say which bars
# were met. Asserts nothing. Cleans up behind itself.
#
#     scripts/bench.sh [--quick] [--only NAME,...] [--markdown FILE]
#
#     --quick           fewer and shorter runs: below ten minutes instead of below an hour
#     --only NAME,...   parts or cases of them; --help names them
#     --markdown FILE   also writes the tables into the marked blocks of FILE, which is docs/BENCHMARKS.md
set -euo pipefail
. "$(dirname "$0")/lib.sh"

for word; do
    case $word in
        -h | --help)
            sed -n '3,/^set/s/^# \{0,1\}//p' "$0"
            exec "$PYTHON" "$STRAY_ROOT/tests/bench/bench.py" --names ;;
    esac
done
"$STRAY_ROOT/scripts/setup.sh"
# The rivals, and what makes load. One that cannot be had is told, and left out.
for package in heaptrack libjemalloc2 libgoogle-perftools4 valgrind wrk; do
    package_is_there "$package" && continue
    said=$(install_packages "$package" 2>&1) || say "$package: cannot be had, left out: $(grep -m 1 '^E:' <<< "$said" || tail -n 1 <<< "$said")"
done
exec "$PYTHON" "$STRAY_ROOT/tests/bench/bench.py" "$STRAY_ROOT/build" "$@"
