#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The tests that depend on luck, long.
#
#     scripts/soak.sh [FACTOR]                        # all of them, FACTOR (40) times as long as scripts/test.sh runs them
#     scripts/soak.sh kills|storms|races|attach|each [COUNT] # one kind, at least COUNT (1000) times; says how often it held
#
# kills: kill -9 at random moments of 1, 4 and 8 threads. storms: threads, forks and execs all at once. races: 8 threads that
# free and resize each other's blocks, with the seeds from 1 on. attach: into and out of each of ten kinds of busy programs and
# servers, COUNT times each (in fifties); prints how often, and how long a thread stood still, as the table of docs/ATTACH.md. each: the
# four, one after the other. `each` takes half an hour or more, 40 an hour or two.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$STRAY_ROOT"

usage() { fail "usage: ${0##*/} [FACTOR] | ${0##*/} kills|storms|races|attach|each [COUNT]"; }

run() { # FACTOR ARGUMENT...: pytest, so many times as long
    local factor=$1
    shift
    STRAY_SOAK=$factor "$PYTHON" -m pytest -q -p no:cacheprovider "$@"
}

told() { # LOG WORD: the number before the word in pytest's last line; 0 if there is none
    sed -nE "\$ s/.*\b([0-9]+) $2.*/\1/p" "$1" | grep . || echo 0
}

# KIND COUNT. What one run with factor 1 does of each kind is divided by.
repeat() {
    local log runs=0 held=0 each=1 status=0
    log=$(mktemp)
    case $1 in
        kills) run $((($2 + 29) / 30)) tests/e2e/test_kill.py -k test_nothing_that_returned_is_lost ;;
        storms) each=10 && run $((($2 + 49) / 50)) tests/e2e/test_storm.py -k test_storms ;;
        races) run $((($2 + 1) / 2)) tests/e2e/test_heap.py -k 'test_addresses_that_pass_between_threads and 8-default' ;;
    esac > "$log" 2>&1 || status=$?
    held=$(told "$log" passed)
    runs=$((held + $(told "$log" failed) + $(told "$log" error)))
    [ "$status" = 0 ] || tail -n 60 "$log" >&2
    rm -f "$log"
    say "$1: $((runs * each)) run, $((held * each)) held"
    return "$status"
}

# COUNT. Of each kind.
attach() {
    local log status=0 STRAY_STALLS
    log=$(mktemp) STRAY_STALLS=$(mktemp)
    export STRAY_STALLS
    run $((($1 + 49) / 50)) tests/e2e/test_attach.py \
        -k 'storms or asleep or (signals and not effect) or python or redis or postgres or uvicorn' > "$log" 2>&1 || status=$?
    [ "$status" = 0 ] || tail -n 60 "$log" >&2
    "$PYTHON" tests/bench/stalls.py "$STRAY_STALLS" "$1" || status=1
    rm -f "$log" "$STRAY_STALLS"
    return "$status"
}

case ${1-40} in
    kills | storms | races | attach) kinds=$1 ;;
    each) kinds='races storms kills attach' ;;
    *[!0-9]* | '') usage ;;
    *) kinds= ;;
esac
case ${2-1000} in *[!0-9]* | '') usage ;; esac

[ -n "${STRAY_BUILD-}" ] || scripts/setup.sh
if [ -z "$kinds" ]; then
    run "${1-40}" tests/e2e/test_kill.py tests/e2e/test_hostile.py tests/e2e/test_heap.py tests/e2e/test_storm.py \
        tests/e2e/test_fork_exec.py tests/e2e/test_suites.py
    exit
fi
failed=0
for kind in $kinds; do
    if [ "$kind" = attach ]; then attach "${2-1000}"; else repeat "$kind" "${2-1000}"; fi || failed=1
done
exit "$failed"
