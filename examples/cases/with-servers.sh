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
at_end 'servers_stop "$folder"'
servers_start "$folder"
"$@"
