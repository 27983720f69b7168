#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From a clean clone on Debian 12 to build/stray and build/libstray.so. Installs the Debian packages that are
# missing (as root or through sudo), then builds. Asks nothing, starts no system service, may be run again.
#
#     scripts/setup.sh [--without-tests] [--no-build]
#
#     --without-tests   neither build the tests nor install what only they need
#     --no-build        only install
set -euo pipefail
. "$(dirname "$0")/lib.sh"

build=yes tests=true
for option; do
    case $option in
        --without-tests) tests=false ;;
        --no-build) build=no ;;
        *) fail "usage: ${0##*/} [--without-tests] [--no-build]" ;;
    esac
done

packages=(
    # to build
    gcc g++ meson ninja-build pkg-config libc6-dev libunwind-dev libzstd-dev libdw-dev libelf-dev libjansson-dev libiberty-dev libpg-query-dev
    libsqlite3-dev zlib1g-dev libpq-dev git
    # servers and a service, to show what it does
    postgresql redis-server python3 python3-psycopg2 python3-sqlalchemy python3-redis python3-fastapi python3-uvicorn python3-httpx
)
test_packages=(
    # compilers, sanitizers, programs that cannot be traced
    clang-14 clang libclang-rt-14-dev gcc-multilib musl-tools libc6-dev-arm64-cross binutils libcriterion-dev
    # what services are made of
    python3-psycopg python3-psycopg-pool python3-pytest python3-pytest-xdist python3-jsonschema python3-prometheus-client libpython3.11-testsuite
    # programs to trace, and what reads the traces
    perl zstd sqlite3 procps util-linux protobuf-compiler libseccomp-dev liburing-dev libjemalloc2 libtcmalloc-minimal4 nginx-light memcached
    libssl3 libcurl4 libhiredis0.14 libxml2 libmariadb3 python3-pycurl
    libpython3.11 php8.2-cli php8.2-pgsql libdbd-pg-perl ruby ruby-pg
    # what is installed besides, and the Debian package
    mandoc systemd zsh fish python3-yaml dpkg-dev debhelper fakeroot lintian debuginfod
    # a browser for the HTML report
    chromium chromium-driver
)
if [ "$tests" = true ]; then packages+=("${test_packages[@]}"); fi

install_packages "${packages[@]}" || fail "packages are missing"

[ "$build" = yes ] || exit 0

cd "$STRAY_ROOT"
log=build/setup.log
mkdir -p build
say "building in build/"
# An earlier run may have built without the tests; one that built them goes on doing so.
configure=(meson setup build -Dtests="$tests")
if [ -f build/build.ninja ]; then
    configure=(true)
    if [ "$tests" = true ] && [ ! -d build/tests ]; then configure=(meson configure build -Dtests=true); fi
fi
"${configure[@]}" > "$log" 2>&1 || { tail -n 40 "$log" >&2; fail "meson setup failed"; }
ninja -C build --quiet > "$log" 2>&1 || { tail -n 60 "$log" >&2; fail "the build failed"; }
# The build leaves each product in the folder of its sources; people find both at the top.
for product in analyzer/stray preload/libstray.so; do
    name=${product##*/}
    if [ -f "build/$product" ]; then ln -sfn "$product" "build/$name"; fi
    [ -e "build/$name" ] || fail "build/$name: was not built"
done
say "ready: build/stray, build/libstray.so"
