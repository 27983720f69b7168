# SPDX-License-Identifier: LGPL-2.1-or-later
"""Large results that are kept by a cursor nobody needs any more, beside healthy twins. The server is that of PGHOST and so on.

    held.py MODE     takes 12 s
"""
import sys
import time

import psycopg2

LARGE = "SELECT repeat('x', 1000) FROM generate_series(1, 12000) LIMIT 12000"
connection = psycopg2.connect("")
other = psycopg2.connect("")
connection.autocommit = other.autocommit = True
kept = []


def asks():
    with other.cursor() as cursor:
        cursor.execute("SELECT 1")


def goes_on():
    for _ in range(12):
        asks()
        time.sleep(1)


def loads_and_keeps():
    cursor = connection.cursor()
    cursor.execute(LARGE)
    rows = len(cursor.fetchall())
    kept.append(cursor)
    return rows


def loads_and_closes():
    with connection.cursor() as cursor:
        cursor.execute(LARGE)
        return len(cursor.fetchall())


def reads_for_long():
    """A row is a second's work, and other statements are a part of it."""
    with connection.cursor() as cursor:
        cursor.execute(LARGE)
        for _, _ in zip(range(12), cursor):
            asks()
            time.sleep(1)


def keeps_one():
    loads_and_keeps()
    goes_on()


def keeps_three():
    for _ in range(3):
        loads_and_keeps()
    goes_on()


def closes():
    loads_and_closes()
    goes_on()


def reads():
    reads_for_long()
    asks()


globals()[sys.argv[1]]()
