#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Everything that is tested, from a clean clone: sets up and builds, checks the rules of the tree, runs the unit
# tests plain, under ASan and UBSan, and built by clang, then the end-to-end suite. The last line is
# "N passed, N failed" over all of it. Exits 1 when anything failed or a part ran nothing.
#
#     scripts/test.sh [PART...]      parts: style unit sanitizers clang cross fuzz install e2e; package, only if named
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$STRAY_ROOT" || exit 2
unset LD_PRELOAD

logs=build/test-logs
passed=0 failed=0

# Runs a command with its output in a log; shows the log's end when it fails.
logged() {
    local log=$logs/$1.log
    shift
    if ! "$@" >> "$log" 2>&1; then
        tail -n "${TAIL:-60}" "$log"
        return 1
    fi
}

# count NAME PASSED FAILED
count() {
    say "$1: $2 passed, $3 failed"
    passed=$((passed + $2)) failed=$((failed + $3))
}

# A part that could not run, or ran nothing, is one failure.
broken() { say "$1: $2"; count "$1" 0 1; }

# count_junit NAME FILE: a skipped test has not passed.
count_junit() {
    local numbers
    numbers=$("$PYTHON" - "$2" << 'END'
import sys, xml.etree.ElementTree as tree
passed = failed = 0
for case in tree.parse(sys.argv[1]).getroot().iter("testcase"):
    if any(case.find(kind) is not None for kind in ("failure", "error", "skipped")):
        failed += 1
        print("not ok", case.get("classname"), case.get("name"), file=sys.stderr)
    else:
        passed += 1
print(passed, failed)
END
    ) || { broken "$1" "no result"; return; }
    # shellcheck disable=SC2086
    set -- "$1" $numbers
    if [ $(($2 + $3)) = 0 ]; then broken "$1" "nothing ran"; else count "$1" "$2" "$3"; fi
}

# unit NAME FOLDER [MESON OPTION...]: configures, builds, and runs the unit tests there.
unit() {
    local name=$1 folder=$2
    shift 2
    say "$name: building in $folder/"
    if [ ! -f "$folder/build.ninja" ]; then
        logged "$name" meson setup "$folder" "$@" || { broken "$name" "meson setup failed"; return; }
    fi
    logged "$name" ninja -C "$folder" --quiet -k 0 || { broken "$name" "the build failed"; return; }
    rm -f "$folder/meson-logs/testlog.junit.xml"
    logged "$name" meson test -C "$folder" --no-rebuild --print-errorlogs
    if [ -f "$folder/meson-logs/testlog.junit.xml" ]; then
        count_junit "$name" "$folder/meson-logs/testlog.junit.xml"
    else
        broken "$name" "nothing ran"
    fi
}

part_style() {
    local output
    output=$(scripts/check-style.sh)
    printf '%s\n' "$output" | grep -v '^ok '
    count style "$(grep -c '^ok ' <<< "$output")" "$(grep -c '^not ok ' <<< "$output")"
}

part_unit() { unit unit build; }

part_sanitizers() {
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    unit sanitizers build-sanitizers -Dshim=false -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fno-sanitize-recover=all
    unset ASAN_OPTIONS UBSAN_OPTIONS
}

# Each file of the analyzer for another processor.
part_cross() {
    local summary
    summary=$(scripts/check-cross.sh 2> "$logs/cross.log" | tail -n 1) || cat "$logs/cross.log"
    summary=${summary:-$(tail -n 1 "$logs/cross.log")}
    if [[ $summary =~ ([0-9]+)\ files\ compiled.*,\ ([0-9]+)\ not ]]; then
        count cross "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    else
        broken cross "$summary"
    fi
}

part_clang() { CC=clang-14 CXX=clang++-14 unit clang build-clang; }

# One target from its corpus on, for a bounded time; what it finds on the way stays out of the tree, in the folder FOUND.
fuzz_one() { # NAME SEEDS FOUND
    mkdir -p "$3/$1" "$2/$1"
    logged "fuzz-$1" "build-fuzz/tests/fuzz/fuzz_$1" -max_total_time="${FUZZ_SECONDS:-30}" -rss_limit_mb=2048 -timeout=20 \
        -artifact_prefix="$logs/$1-" "$3/$1" "tests/fuzz/corpus/$1" "$2/$1"
}

# Two targets at a time: each takes one processor.
part_fuzz() {
    local good=0 bad=0 pair name found seeds running
    say "fuzz: building in build-fuzz/"
    if [ ! -f build-fuzz/build.ninja ]; then
        CC=clang-14 CXX=clang++-14 logged fuzz meson setup build-fuzz -Dfuzz=true -Dshim=false -Db_lundef=false -Db_sanitize=address,undefined \
            -Dc_args=-fno-sanitize-recover=all || { broken fuzz "meson setup failed"; return; }
    fi
    logged fuzz ninja -C build-fuzz --quiet fuzz || { broken fuzz "the build failed"; return; }
    found=$(make_folder)
    seeds=$(make_folder)
    logged fuzz build-fuzz/tests/fuzz/seeds "$seeds" || broken fuzz "no seeds"
    for pair in "reader events" "columns wire"; do
        running=()
        for name in $pair; do
            fuzz_one "$name" "$seeds" "$found" &
            running+=("$name $!")
        done
        for name in "${running[@]}"; do
            if wait "${name#* }"; then
                good=$((good + 1))
            else
                bad=$((bad + 1))
                say "fuzz: ${name% *} failed: the input is in $logs/"
            fi
        done
    done
    rm -rf "$found" "$seeds"
    count fuzz "$good" "$bad"
}

# What is installed is whole, and finds its own shim.
part_install() {
    local folder stray good=0 bad=0 test
    folder=$(make_folder)
    logged install meson install -C build --no-rebuild --destdir "$folder/root" || { rm -rf "$folder"; broken install "meson install failed"; return; }
    stray=$(find "$folder/root" -path '*/bin/stray')
    for test in "[ -x '$stray' ]" "'$stray' --version" "'$stray' run -o '$folder/trace' -- true" "'$stray' report '$folder/trace'" \
        "[ -n \"\$(find '$folder/root' -name libstray.so)\" ]" "[ -n \"\$(find '$folder/root' -name report.schema.json)\" ]"; do
        if logged install bash -c "$test"; then good=$((good + 1)); else bad=$((bad + 1)); say "install: failed: $test"; fi
    done
    rm -rf "$folder"
    count install "$good" "$bad"
}

# The Debian package is built of what is committed, and lintian is silent. Not among the parts that run by themselves: it compiles all
# anew.
part_package() {
    local folder good=0 bad=0
    folder=$(make_folder)
    if logged package scripts/make-deb.sh "$folder/deb" && dpkg -x "$folder"/deb/stray_*.deb "$folder/root" &&
        [ -f "$folder/root/usr/share/zsh/vendor-completions/_stray" ]; then good=1; else bad=1; fi
    if [ "$good" = 1 ] && logged package-run bash -c "'$folder/root/usr/bin/stray' run -o '$folder/trace' -- true && '$folder/root/usr/bin/stray' report '$folder/trace'"; then
        good=2
    else
        bad=$((bad + 1))
    fi
    rm -rf "$folder"
    count package "$good" "$bad"
}

e2e() { "$PYTHON" -m pytest tests/e2e -q -p no:cacheprovider "$@"; }

# Files of tests are handed out to as many workers as there are processors, to four at most: each has servers of its own. All that
# was collected must have run, whatever became of the workers.
part_e2e() {
    local workers collected before=$failed total=$((passed + failed)) status=0
    workers=$(nproc)
    say "e2e: running tests/e2e"
    rm -f "$logs/e2e.xml"
    collected=$(e2e --collect-only | grep -c '::')
    TAIL=400 logged e2e e2e -n $((workers < 4 ? workers : 4)) --dist loadfile --tb=short --junit-xml="$logs/e2e.xml" || status=1
    if [ -f "$logs/e2e.xml" ]; then count_junit e2e "$logs/e2e.xml"; else broken e2e "nothing ran"; fi
    total=$((passed + failed - total))
    if [ "$total" -lt "$collected" ]; then
        broken e2e "$collected tests were collected, and $total have a result"
    elif [ "$status" != 0 ] && [ "$failed" = "$before" ]; then
        broken e2e "pytest says that it failed"
    fi
}

# Nothing can be tested.
hopeless() {
    broken setup "$1"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    exit 1
}

case $STRAY_ROOT in
    *[[:space:]:]*) hopeless "$STRAY_ROOT: LD_PRELOAD, by which programs are traced, cannot hold a path with a blank or a colon: clone to another" ;;
esac
say "setting up"
scripts/setup.sh || hopeless "failed"
rm -rf "$logs"
mkdir -p "$logs"
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(style unit sanitizers clang cross fuzz install e2e)
for part in "${parts[@]}"; do
    declare -F "part_$part" > /dev/null || fail "$part: no such part"
    "part_$part"
done

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
