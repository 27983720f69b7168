#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Compiles the analyzer for aarch64 by Debian's cross compiler, each file by itself and without linking: a port finds there nothing
# that only x86-64 has, but for the folder of attaching. Headers of foreign libraries are those of this machine, behind the cross
# compiler's own. docs/PORTING.md says what else a port needs.
#
#     scripts/check-cross.sh      (needs gcc-aarch64-linux-gnu and libc6-dev-arm64-cross)
set -euo pipefail
. "$(dirname "$0")/lib.sh"

cross=aarch64-linux-gnu-gcc
command -v "$cross" > /dev/null || fail "$cross: not found (Debian: gcc-aarch64-linux-gnu)"
cd "$STRAY_ROOT"

flags=(-fsyntax-only -std=gnu11 -O1 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wpointer-arith -Wno-unused-parameter -Werror -D_GNU_SOURCE
       '-DSTRAY_LIBDIR="lib"' '-DSTRAY_DATADIR="share"' '-DSTRAY_VERSION="0"' -Ianalyzer -I. -Iinclude -idirafter /usr/include)

failed=0 compiled=0
while read -r file; do
    if "$cross" "${flags[@]}" "$file"; then compiled=$((compiled + 1)); else failed=$((failed + 1)); fi
done < <(find analyzer -name '*.c' -not -path 'analyzer/attach/*' | sort)
say "$compiled files compiled for aarch64, $failed not"
[ "$failed" -eq 0 ]
