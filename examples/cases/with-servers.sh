#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs a command with a private PostgreSQL and Redis, on free ports of loopback, whose addresses are in the variables that their
# clients read. Stops them afterwards. Exit status: the command's.
#
#     examples/cases/with-servers.sh COMMAND [ARGUMENT...]
set -euo pipefail
. "$(dirname "$0")/../../scripts/lib.sh"
[ $# -gt 0 ] || fail "usage: ${0##*/} COMMAND [ARGUMENT...]"

folder=$(make_folder)
clean_up() {
    trap - EXIT INT TERM
    postgres_stop "$folder" || true
    redis_stop "$folder" || true
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
postgres_start "$folder"
redis_start "$folder"
set -a
. "$folder/pg.env"
. "$folder/redis.env"
set +a
export REDIS_URL="redis://:$REDIS_PASSWORD@$REDIS_HOST:$REDIS_PORT/0"
"$@"
