<?php
# SPDX-License-Identifier: LGPL-2.1-or-later
# PHP loads its modules with RTLD_DEEPBIND. Opens ROUNDS connections twice, and closes one half of them.
$kept = [];
for ($round = 0; $round < (int)$argv[1]; $round++) {
    $kept[] = pg_connect(getenv("CONNINFO"), PGSQL_CONNECT_FORCE_NEW) or exit(1);
    $closed = pg_connect(getenv("CONNINFO"), PGSQL_CONNECT_FORCE_NEW) or exit(1);
    pg_query($closed, "SELECT 1") or exit(1);
    pg_close($closed);
}
posix_kill(posix_getpid(), 9); # at an end of its own it would close them all
