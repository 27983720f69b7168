#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Rules of the tree that a script can check. One line a rule, "ok" or "not ok"; exits 1 when one is broken.
#
#     scripts/check-style.sh [RULE...]
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$STRAY_ROOT" || exit 2

mapfile -t files < <(git ls-files --cached --others --exclude-standard)
[ ${#files[@]} -gt 20 ] || fail "no files: not a clone?"

# Every source file names its licence in its first three lines.
rule_licence() {
    local file
    for file in "${files[@]}"; do
        case $file in
            *.c | *.h | *.cpp | *.def | *.S | *.py | *.sh | meson.build | */meson.build | meson_options.txt | .ci/run)
                head -n 3 "$file" | grep -q 'SPDX-License-Identifier: LGPL-2\.1-or-later' || echo "$file: no SPDX line" ;;
        esac
    done
}

# include/ knows nobody; preload/ and analyzer/ know include/ and themselves; between their folders no arrow goes up.
rule_includes() {
    "$PYTHON" - "${files[@]}" << 'END'
import os, re, sys
# Folders from the lowest up; those on one line do not know each other's order.
layers = {
    "analyzer": [["attach", "read"], ["names"], ["lives"], ["verdicts"], ["views"], ["commands"]],
    "preload": [["record", "stack"], ["sql"], ["state"], ["hooks"]],
}
def layer(path):
    top, *rest = path.split("/")
    levels = layers.get(top, [])
    return next((n for n, level in enumerate(levels) if len(rest) > 1 and rest[0] in level), None)
known, included = set(sys.argv[1:]), {}
for path in sorted(known):
    top = path.split("/")[0]
    if top not in ("include", "preload", "analyzer") or not path.endswith((".c", ".h", ".def", ".S")):
        continue
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not match:
            continue
        candidates = [os.path.normpath(os.path.join(base, match[1])) for base in (os.path.dirname(path), ".", "include", top)]
        found = next((each for each in candidates if each in known), None)
        if found is None:
            print(f"{path}:{number}: {match[1]}: in no folder this file may include from")
            continue
        included.setdefault(path, []).append(found)
        other = found.split("/")[0]
        if other != top and other != "include":
            print(f"{path}:{number}: {top}/ may not include {found}")
        mine, theirs = layer(path), layer(found)
        if other == top and mine is not None and theirs is not None and theirs > mine:
            print(f"{path}:{number}: may not include {found}, which is above it")
done = set()
def walk(path, above):
    if path in above:
        print(" -> ".join([*above[above.index(path):], path]) + ": a circle")
    elif path not in done:
        for other in included.get(path, []):
            walk(other, [*above, path])
        done.add(path)
for path in sorted(included):
    walk(path, [])
END
}

# Every header compiles on its own.
rule_headers() {
    local file folder flags own
    folder=$(mktemp -d)
    flags=$(pkg-config --cflags jansson libdw libelf libzstd libpq libunwind)
    for file in "${files[@]}"; do
        case $file in
            include/*.h | analyzer/*.h | preload/*.h | tests/*.h)
                printf '#include "%s"\n' "$STRAY_ROOT/$file" > "$folder/alone.c"
                own="-I${file%%/*}"
                case $file in tests/*) own='-Ipreload -Ianalyzer' ;; esac
                # shellcheck disable=SC2086
                gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function -fsyntax-only -I. -Iinclude $own \
                    -I"$(dirname "$file")" $flags "$folder/alone.c" 2>&1 | sed -n "s|^|$file: |p" | head -n 5 ;;
        esac
    done
    rm -rf "$folder"
}

# No file speaks of the machine it was written on. (The patterns are split so that they do not find themselves.)
rule_paths() {
    local pattern='(^|[^[:alnum:]_.<$}])/(ro''ot|Us''ers|wo''rk|mn''t)/[[:alnum:]]'
    grep -nIE "$pattern" "${files[@]}"
}

# No file is left half done.
rule_unfinished() {
    grep -nIwE "$(printf 'TO%s|FIX%s|XX%s|HA%s' DO ME X CK)" "${files[@]}" | grep -vE '^(COPYING|third_party/|tests/.*vendor/)'
}

rule_whitespace() {
    local file
    for file in "${files[@]}"; do
        case $file in
            COPYING | third_party/* | *.png | *.stray | *.spool | tests/golden/* | tests/fuzz/corpus/*) continue ;;
        esac
        grep -nHE '[[:blank:]]+$' "$file"
        [ ! -s "$file" ] || [ -z "$(tail -c 1 "$file")" ] || echo "$file: no newline at the end"
    done
}

# 400 KiB is more than any source file of a person.
rule_size() {
    local file
    for file in "${files[@]}"; do
        [ "$(stat -c %s "$file")" -le 409600 ] || echo "$file: too big"
    done
}

rule_shell() {
    local file
    for file in "${files[@]}"; do
        case $file in
            *.sh | .ci/run) bash -n "$file" 2>&1 ;;
        esac
    done
}

rule_python() {
    local file
    for file in "${files[@]}"; do
        case $file in
            *.py) "$PYTHON" -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$file" 2>&1 | tail -n 3 ;;
        esac
    done
}

# Ids of hooks and resources stand in traces: once given, never given again.
rule_ids() {
    local table
    for table in include/stray/*hooks.def include/stray/resources.def; do
        sed -nE 's/^(HOOK|INNER_HOOK|RESOURCE)\(([0-9]+), (\w+),.*/\2\n\3/p' "$table" | sort | uniq -d | sed "s|^|$table: twice: |"
    done
}

rules=("$@")
[ ${#rules[@]} -gt 0 ] || mapfile -t rules < <(declare -F | sed -n 's/^declare -f rule_//p')
broken=0
for rule in "${rules[@]}"; do
    declare -F "rule_$rule" > /dev/null || fail "$rule: no such rule"
    output=$("rule_$rule")
    if [ -z "$output" ]; then
        echo "ok $rule"
    else
        echo "not ok $rule"
        printf '%s\n' "$output" | head -n 40 | sed 's/^/    /'
        broken=1
    fi
done
exit $broken
