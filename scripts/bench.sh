#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Measures what tracing and reading traces cost, side by side with heaptrack, and prints tables. Asserts nothing.
#
#     scripts/bench.sh [--quick]
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$STRAY_ROOT"
scripts/setup.sh
command -v heaptrack > /dev/null || fail "heaptrack: not found"
"$PYTHON" tests/bench/compare.py build "$@"
echo
"$PYTHON" tests/bench/programs.py build "$@"
echo
exec "$PYTHON" tests/bench/analyzer.py build "$@"
