#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The Debian package, made of what is committed: the source archive of `meson dist`, dpkg-buildpackage without network, lintian.
#
#     scripts/make-deb.sh [FOLDER]     where the package is to lie; default build/deb
set -euo pipefail
. "$(dirname "$0")/lib.sh"

cd "$STRAY_ROOT"
out=$(realpath -m "${1:-build/deb}")
packages=(dpkg-dev debhelper fakeroot lintian meson ninja-build git xz-utils)
install_packages "${packages[@]}" || fail "packages are missing"
[ -f build/build.ninja ] || meson setup build > /dev/null

rm -rf "$out"
mkdir -p "$out"
log=$out/make-deb.log
run() { "$@" >> "$log" 2>&1 || { tail -n 40 "$log" >&2; fail "$1 failed"; }; }

say "source archive"
run meson dist -C build --no-tests --formats xztar
archive=$(ls -t build/meson-dist/stray-*.tar.xz | head -n 1)
name=$(basename "$archive" .tar.xz)
cp "$archive" "$out/${name/-/_}.orig.tar.xz"
tar -xf "$archive" -C "$out"

say "package"
cd "$out/$name"
run dpkg-buildpackage -us -uc -j2
cd ..
rm -rf "${out:?}/$name"

say "lintian"
lintian --allow-root --fail-on error,warning --tag-display-limit 0 ./*.changes
say "ready: $(ls "$out"/*.deb)"
