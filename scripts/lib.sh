# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Shared by the scripts of this folder, by tests/e2e/conftest.py and by tests/bench: sourced, never run. It puts the system's
# programs before any other build of them on PATH, installs Debian packages, and starts private PostgreSQL and Redis
# servers: on loopback ports free at that moment, in a folder of their own, with generated passwords, stopped by their pid.

export PATH="/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH"
STRAY_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHON=/usr/bin/python3

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

package_is_there() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null || true)" = installed ]
}

# While packages are installed, no service may be started: the servers of the tests are private. Runs in a shell of its own.
apt_install() (
    umask 022 # of the system's files, whatever the caller wants of his own
    export DEBIAN_FRONTEND=noninteractive
    command -v apt-get > /dev/null || { printf 'apt-get: not found (Debian 12 is needed)\n' >&2; exit 1; }
    root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo > /dev/null || { printf 'packages are missing: run as root, or install sudo\n' >&2; exit 1; }
        root=(sudo -n --preserve-env=DEBIAN_FRONTEND)
        sudo -n true 2> /dev/null || { printf 'packages are missing, and sudo wants a password: run `sudo -v` first, or this as root\n' >&2; exit 1; }
    fi
    policy=/usr/sbin/policy-rc.d
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$log"; "${root[@]}" rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" > /dev/null
        "${root[@]}" chmod 755 "$policy"
    fi
    if ! { "${root[@]}" apt-get -q update && "${root[@]}" apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@"; } > "$log" 2>&1; then
        tail -n 40 "$log" >&2
        exit 1
    fi
)

# install_packages NAME...: those that are missing, as root or through sudo. Asks nothing, starts no system service.
install_packages() {
    local package missing=()
    for package; do
        package_is_there "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        say "all packages are there"
        return 0
    fi
    say "installing ${missing[*]}"
    apt_install "${missing[@]}" || { printf 'apt-get failed\n' >&2; return 1; }
}

# A loopback TCP port that nobody listens on now.
free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

random_word() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

# A folder that the postgres user can pass through. Socket paths are limited to 107 bytes, so it is kept short.
make_folder() {
    local folder
    folder=$(mktemp -d "${TMPDIR:-/tmp}/stray-XXXXXX") && chmod 711 "$folder" && printf '%s\n' "$folder"
}

# initdb and postgres refuse to run as root.
as_database_user() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

postgres_programs() {
    local folder
    folder=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    [ -x "$folder/initdb" ] || { printf 'no PostgreSQL server programs\n' >&2; return 1; }
    printf '%s\n' "$folder"
}

# postgres_start FOLDER: a cluster in FOLDER/pg. Writes FOLDER/pg.env with PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
postgres_start() {
    local folder=$1/pg programs password port attempt
    programs=$(postgres_programs) || return 1
    password=$(random_word)
    mkdir -m 700 "$folder" || return 1
    printf '%s\n' "$password" > "$folder/password" || return 1
    if [ "$(id -u)" = 0 ]; then chown -R postgres: "$folder" || return 1; fi
    (cd "$1" && as_database_user "$programs/initdb" -D "$folder/data" -U stray --auth=scram-sha-256 \
        --pwfile="$folder/password" --no-locale -E UTF8 --no-sync) > "$1/pg.log" 2>&1 || { cat "$1/pg.log" >&2; return 1; }
    rm -f "$folder/password"
    for attempt in 1 2 3 4 5; do
        port=$(free_port) || return 1
        if (cd "$1" && as_database_user "$programs/pg_ctl" -D "$folder/data" -l "$folder/data/server.log" -w -t 60 start -o \
            "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$folder -c max_connections=400 \
-c fsync=off -c shared_buffers=16MB -c ssl=off -c autovacuum=off") > "$1/pg.log" 2>&1; then
            (umask 077; printf 'PGHOST=127.0.0.1\nPGPORT=%s\nPGUSER=stray\nPGPASSWORD=%s\nPGDATABASE=postgres\nPGSOCKETS=%s\n' \
                "$port" "$password" "$folder" > "$1/pg.env")
            return 0
        fi
        printf 'attempt %s to start PostgreSQL failed\n' "$attempt" >> "$1/pg.log"
    done
    cat "$1/pg.log" "$folder/data/server.log" >&2
    return 1
}

# postgres_stop FOLDER: stops what postgres_start started there; nothing where nothing runs.
postgres_stop() {
    [ -f "$1/pg/data/postmaster.pid" ] || return 0
    (cd "$1" && as_database_user "$(postgres_programs)/pg_ctl" -D "$1/pg/data" -m immediate -w stop) > /dev/null
}

# redis_start FOLDER: a server in FOLDER/redis. Writes FOLDER/redis.env with REDIS_HOST, REDIS_PORT, REDIS_PASSWORD.
redis_start() {
    local folder=$1/redis password port attempt wait
    password=$(random_word)
    mkdir -m 700 "$folder" || return 1
    for attempt in 1 2 3 4 5; do
        port=$(free_port) || return 1
        (umask 077; cat > "$folder/redis.conf") <<END
bind 127.0.0.1
port $port
dir $folder
save ""
appendonly no
requirepass $password
daemonize yes
pidfile $folder/redis.pid
logfile $folder/redis.log
END
        redis-server "$folder/redis.conf" || return 1
        for wait in $(seq 100); do
            if [ -s "$folder/redis.pid" ] && REDISCLI_AUTH=$password redis-cli -h 127.0.0.1 -p "$port" ping 2> /dev/null | grep -q PONG; then
                (umask 077; printf 'REDIS_HOST=127.0.0.1\nREDIS_PORT=%s\nREDIS_PASSWORD=%s\n' "$port" "$password" > "$1/redis.env")
                return 0
            fi
            sleep 0.05
        done
        printf 'attempt %s to start Redis failed after %s waits\n' "$attempt" "$wait" >&2
    done
    cat "$folder/redis.log" >&2
    return 1
}

# redis_stop FOLDER: stops what redis_start started there, by its pid.
redis_stop() {
    local pid wait
    [ -s "$1/redis/redis.pid" ] || return 0
    pid=$(cat "$1/redis/redis.pid")
    kill "$pid" 2> /dev/null || return 0
    for wait in $(seq 100); do
        kill -0 "$pid" 2> /dev/null || return 0
        sleep 0.05
    done
    printf 'Redis (pid %s) did not stop after %s waits: killed\n' "$pid" "$wait" >&2
    kill -9 "$pid"
}

# servers_start FOLDER: both, with their addresses in the variables that clients read, exported: PGHOST and so on, REDIS_URL.
servers_start() {
    postgres_start "$1" || return 1
    redis_start "$1" || return 1
    set -a
    . "$1/pg.env"
    . "$1/redis.env"
    REDIS_URL="redis://:$REDIS_PASSWORD@$REDIS_HOST:$REDIS_PORT/0"
    set +a
}

# servers_stop FOLDER: whatever of them runs; removes the folder.
servers_stop() {
    postgres_stop "$1" || true
    redis_stop "$1" || true
    rm -rf "$1"
}

# at_end COMMAND: runs it once, however the script ends.
at_end() {
    # shellcheck disable=SC2064
    trap "trap - EXIT INT TERM; $1" EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}
