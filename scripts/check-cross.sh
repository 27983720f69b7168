#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Compiles the analyzer for aarch64, each file by itself and without linking: a port finds there nothing that only x86-64 has, but for
# the folder of attaching. By clang, for Debian's gcc-aarch64-linux-gnu cannot be installed beside gcc-multilib. libc's headers are those
# for aarch64; those of foreign libraries are this machine's, behind them. docs/PORTING.md says what else a port needs.
#
#     scripts/check-cross.sh      (needs clang-14 and libc6-dev-arm64-cross)
set -euo pipefail
. "$(dirname "$0")/lib.sh"

headers=/usr/aarch64-linux-gnu/include
command -v clang-14 > /dev/null || fail "clang-14: not found (Debian: clang-14)"
[ -d "$headers" ] || fail "$headers: not found (Debian: libc6-dev-arm64-cross)"
cd "$STRAY_ROOT"

flags=(--target=aarch64-linux-gnu -isystem "$headers" -fsyntax-only -std=gnu11 -O1 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wpointer-arith -Wno-unused-parameter -Werror -D_GNU_SOURCE
       '-DSTRAY_LIBDIR="lib"' '-DSTRAY_DATADIR="share"' '-DSTRAY_VERSION="0"' -Ianalyzer -I. -Iinclude -idirafter /usr/include)

failed=0 compiled=0
while read -r file; do
    if clang-14 "${flags[@]}" "$file"; then compiled=$((compiled + 1)); else failed=$((failed + 1)); fi
done < <(find analyzer -name '*.c' -not -path 'analyzer/attach/*' | sort)
say "$compiled files compiled for aarch64, $failed not"
[ "$failed" -eq 0 ]
