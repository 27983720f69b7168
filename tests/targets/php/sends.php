<?php
# SPDX-License-Identifier: LGPL-2.1-or-later
# pgsql: known numbers of statements, then connections that are closed, or kept until the process is killed.
#     sends.php leaks|closes ROUNDS
function opens() { return pg_connect("dbname=" . getenv("PGDATABASE"), PGSQL_CONNECT_FORCE_NEW) ?: exit(1); }

function asks($connection) { return pg_fetch_all(pg_query($connection, "SELECT n FROM generate_series(1, 3) n")); }

function executes($connection, $number) { return pg_fetch_all(pg_execute($connection, "series", [$number, $number + 1])); }

function fails($connection) { return @pg_query($connection, "SELECT missing"); }

$connection = opens();
for ($round = 0; $round < 4; $round++) asks($connection);
pg_prepare($connection, "series", "SELECT n FROM generate_series($1::int, $2::int) n WHERE n > 0") or exit(1);
for ($number = 1; $number <= 6; $number++) executes($connection, $number);
fails($connection) and exit(1);
pg_close($connection);

$kept = [];
for ($round = 0; $round < (int)$argv[2]; $round++) {
    $one = opens();
    pg_query($one, "SELECT 1") or exit(1);
    if ($argv[1] === "leaks") $kept[] = $one; else pg_close($one);
}
posix_kill(posix_getpid(), 9); # at an end of its own it would close them all
