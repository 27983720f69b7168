#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Shows what stray says of a service that leaks: sets up, starts a private PostgreSQL and Redis, runs the small
# backend of tests/targets/service under `stray run`, sends it 200 requests, stops it and prints the report.
# Cleans up behind itself. Exits non-zero when anything fails.
#
#     scripts/demo.sh [--keep DIR] [--untraced]
#
#     --keep DIR   leave the trace in DIR
#     --untraced   run the service bare: shows that the servers, the service and the driver are in order
set -euo pipefail
. "$(dirname "$0")/lib.sh"

keep='' traced=yes
while [ $# -gt 0 ]; do
    case $1 in
        --keep) [ $# -ge 2 ] || fail "--keep: a folder is missing"; keep=$2; shift 2 ;;
        --untraced) traced=no; shift ;;
        *) fail "usage: ${0##*/} [--keep DIR] [--untraced]" ;;
    esac
done
[ -z "$keep" ] || keep=$(realpath -m "$keep")

folder='' service=''
clean_up() {
    if [ -n "$service" ]; then kill -9 "$service" 2> /dev/null || true; fi
    if [ -n "$folder" ]; then servers_stop "$folder"; fi
}
at_end clean_up

cd "$STRAY_ROOT"
[ "$traced" = no ] || scripts/setup.sh --without-tests
folder=$(make_folder)
trace=${keep:-$folder/trace}
say "starting a private PostgreSQL and Redis"
servers_start "$folder"
export DATABASE_URL="postgresql://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/$PGDATABASE"
export SIGNING_KEY="$(random_word)"

port=$(free_port)
command=("$PYTHON" -m uvicorn app:app --app-dir tests/targets/service --host 127.0.0.1 --port "$port" --no-access-log)
if [ "$traced" = yes ]; then command=(build/stray run -o "$trace" -- "${command[@]}"); fi
say "running: ${command[*]}"
"${command[@]}" > "$folder/service.log" 2>&1 &
service=$!

say "sending 200 requests"
"$PYTHON" tests/targets/service/drive.py "$port" > "$folder/expected.json" || { cat "$folder/service.log" >&2; fail "driving the service failed"; }

kill -TERM "$service"
status=0
wait "$service" || status=$?
service=''
[ "$status" = 0 ] || { cat "$folder/service.log" >&2; fail "the service ended with status $status"; }

if [ "$traced" = yes ]; then
    build/stray report "$trace"
    [ -z "$keep" ] || say "the trace is in $keep"
fi
"$PYTHON" - "$folder/expected.json" << 'END'
import json, sys
functions = json.load(open(sys.argv[1]))["functions"]
print("demo.sh: what the service was made to leak:", ", ".join(f"{each['leaked']} connections by {name}" for name, each in functions.items() if each["leaked"]))
END
if [ "$traced" = yes ] && [ -z "$keep" ]; then say "with --keep DIR the trace stays, for build/stray report DIR -v and the rest"; fi
