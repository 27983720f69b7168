# SPDX-License-Identifier: LGPL-2.1-or-later
"""rows.py MODE: one large result, of which there is left: kept, everything; undropped, what the cursor holds; closed, nothing."""
import os
import sys

import psycopg2

ROWS = 100_000


def fetches(cursor):
    cursor.execute(f"SELECT i, 'row number ' || i FROM generate_series(1, {ROWS}) AS t(i)")
    return cursor.fetchall()


connection = psycopg2.connect("")
cursor = connection.cursor()
rows = fetches(cursor)
assert len(rows) == ROWS
mode = sys.argv[1]
if mode != "kept":
    del rows
if mode == "closed":
    cursor.close()
    del cursor
os.close(os.open("/dev/null", os.O_RDONLY))
