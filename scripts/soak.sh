#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The tests that depend on luck (kills at random moments, jumps out of handlers, threads that pass blocks around), FACTOR
# times as long as scripts/test.sh runs them, and all of CPython's own tests that scripts/test.sh takes a part of. 40 takes an
# hour or two.
#
#     scripts/soak.sh [FACTOR]
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$STRAY_ROOT"
scripts/setup.sh
STRAY_SOAK=${1:-40} exec "$PYTHON" -m pytest tests/e2e/test_kill.py tests/e2e/test_hostile.py tests/e2e/test_heap.py \
    tests/e2e/test_storm.py tests/e2e/test_fork_exec.py tests/e2e/test_suites.py -q -p no:cacheprovider
