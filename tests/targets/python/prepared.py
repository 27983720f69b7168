# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of prepared statements that are never deallocated, each way beside healthy twins. The server is that of PGHOST and so on.

    prepared.py [NAME...]     the functions to call; default: all
"""
import sys

import psycopg
import psycopg2

ROUNDS = 40
kept = []  # what a service keeps for as long as it lives


def connect():
    kept.append(psycopg2.connect(""))
    kept[-1].autocommit = True
    return kept[-1].cursor()


# ---- PREPARE as a statement ----

def names_each_by_sql():
    cursor = connect()
    for i in range(ROUNDS):
        cursor.execute(f"PREPARE by_number_{i} (int) AS SELECT $1 + 1")
        cursor.execute(f"EXECUTE by_number_{i} ({i})")


def names_each_and_deallocates():
    cursor = connect()
    for i in range(ROUNDS):
        cursor.execute(f'PREPARE "By-{i}" (int) AS SELECT $1 + 2')
        cursor.execute(f'EXECUTE "By-{i}" ({i})')
        cursor.execute(f'DEALLOCATE "By-{i}"')


def names_each_and_discards_all():
    cursor = connect()
    for i in range(ROUNDS):
        cursor.execute(f"PREPARE discarded_{i} (int) AS SELECT $1 + 3")
        cursor.execute(f"EXECUTE discarded_{i} ({i})")
        if i % 10 == 9:
            cursor.execute("DISCARD ALL" if i < 30 else "DEALLOCATE ALL")


def names_a_fixed_set():
    cursor = connect()
    for i in range(15):  # one a worker, of the same text
        cursor.execute(f"PREPARE worker_{i} (int) AS SELECT $1 + 4")
    for i in range(3 * ROUNDS):
        cursor.execute(f"EXECUTE worker_{i % 15} ({i})")


def names_once_a_connection():
    for _ in range(ROUNDS):
        connection = psycopg2.connect("")
        cursor = connection.cursor()
        for i in range(12):
            cursor.execute(f"PREPARE mine_{i} (int) AS SELECT $1 + 5")
            cursor.execute(f"EXECUTE mine_{i} ({i})")
        connection.close()


def is_refused():
    cursor = connect()
    cursor.execute("PREPARE taken (int) AS SELECT $1 + 6")
    for i in range(ROUNDS):
        try:
            cursor.execute("PREPARE Taken (int) AS SELECT $1 + 6")
        except psycopg2.errors.DuplicatePreparedStatement:
            cursor.execute(f"EXECUTE TAKEN ({i})")


# ---- by libpq's own calls ----

def by_psycopg():
    """Prepares by itself what it is asked five times, and gives up the name used longest ago: at most ten at a time."""
    connection = psycopg.connect("", autocommit=True)
    connection.prepare_max = 10
    kept.append(connection)
    for turn in range(6):
        for i in range(2 * ROUNDS):
            connection.execute(f"SELECT %s + {7 + i} AS column_{i}", (turn,)).fetchall()


def by_psycopg_of_many_types():
    """One text, 16 names: of each type of numbers another, all of them used again and again."""
    connection = psycopg.connect("", autocommit=True, prepare_threshold=0)
    kept.append(connection)
    sizes = (1, 2 ** 20, 2 ** 40, 2 ** 80)
    for _ in range(4):
        for one in sizes:
            for other in sizes:
                connection.execute("SELECT %s, %s", (one, other)).fetchall()


def names_each_by_libpq():
    connection = psycopg.connect("", autocommit=True)
    kept.append(connection)
    for i in range(ROUNDS):
        name = b"new_%d" % i
        connection.pgconn.prepare(name, b"SELECT $1::int + 8")
        connection.pgconn.exec_prepared(name, [b"%d" % i])


def names_each_by_libpq_and_deallocates():
    connection = psycopg.connect("", autocommit=True)
    kept.append(connection)
    for i in range(ROUNDS):
        name = b"New_%d" % i
        connection.pgconn.prepare(name, b"SELECT $1::int + 9")
        connection.pgconn.exec_prepared(name, [b"%d" % i])
        connection.pgconn.exec_(b'DEALLOCATE PREPARE "New_%d"' % i)


def prepares_without_a_name():
    connection = psycopg.connect("", autocommit=True)
    kept.append(connection)
    for i in range(ROUNDS):
        connection.pgconn.prepare(b"", b"SELECT $1::int + 10")
        connection.pgconn.exec_prepared(b"", [b"%d" % i])


NAMES = ["names_each_by_sql", "names_each_and_deallocates", "names_each_and_discards_all", "names_a_fixed_set",
         "names_once_a_connection", "is_refused", "by_psycopg", "by_psycopg_of_many_types", "names_each_by_libpq",
         "names_each_by_libpq_and_deallocates", "prepares_without_a_name"]

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        globals()[name]()
