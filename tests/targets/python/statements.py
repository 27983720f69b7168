# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statements that give something away, each beside a healthy twin. The server is that of PGHOST and so on.

    statements.py [NAME...]     the functions to call; default: all

Some say, as a line of JSON, the most seconds that what the report tells of them can have taken.
"""
import asyncio
import contextlib
import json
import sys
import time

import psycopg
import psycopg2

ROWS = 12_000
connection = psycopg2.connect("")


def prepare():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE items (id int PRIMARY KEY, name text, version int DEFAULT 0)")
        cursor.execute("INSERT INTO items SELECT n, 'name ' || n FROM generate_series(1, %s) n", (ROWS,))
    connection.commit()


@contextlib.contextmanager
def timed(function):
    begin = time.monotonic()
    yield
    print(json.dumps({function: time.monotonic() - begin}), flush=True)


def run(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


# ---- one statement an item ----

def asks_for_each():
    for i in range(30):
        run("SELECT name FROM items WHERE id = %s", i)
    connection.commit()


def asks_once():
    run("SELECT name FROM items WHERE id = ANY(%s)", list(range(30)))
    for _ in range(3):
        run("SELECT count(*) FROM items WHERE version = %s", 0)
    connection.commit()


def asks_many_things():
    for i in range(12):
        run("SELECT name FROM items WHERE id = %s", i)
        run("SELECT version FROM items WHERE id = %s", i)
        run("SELECT count(*) FROM items WHERE id < %s", i)
    connection.commit()


def asks_page_by_page():
    last = -1
    while rows := run("SELECT id, name FROM items WHERE id > %s ORDER BY id LIMIT 500", last):
        last = rows[-1][0]
    connection.commit()


def writes_in_batches():
    for batch in range(15):
        keys = range(100_000 + 100 * batch, 100_100 + 100 * batch)
        run("INSERT INTO items (id, name) VALUES " + ", ".join(f"({key}, 'a')" for key in keys))
    for batch in range(15):
        keys = list(range(100_000 + 100 * batch, 100_100 + 100 * batch))
        run("UPDATE items SET name = 'b' WHERE id = ANY(%s)", keys)
    for batch in range(15):
        run("DELETE FROM items WHERE id IN %s", tuple(range(100_000 + 100 * batch, 100_100 + 100 * batch)))
    connection.commit()


def sends_ahead():
    """psycopg 3 sends all of them before it reads the first answer."""
    with psycopg.connect("") as other:
        other.execute("CREATE TEMP TABLE names (id int PRIMARY KEY, name text)")
        with other.cursor() as cursor:
            cursor.executemany("INSERT INTO names VALUES (%s, %s)", [(i, "a") for i in range(50)])


# ---- as many rows as there are ----

def fetches_all():
    rows = run("SELECT * FROM items")
    connection.commit()
    return rows


def holds_all():
    """Of rows that are long since objects of one's own the cursor keeps the result, 12 MB."""
    cursor = connection.cursor()
    cursor.execute("SELECT repeat('x', 1000) FROM generate_series(1, 12000)")
    rows = cursor.fetchall()
    time.sleep(1.5)
    cursor.close()
    connection.commit()
    return rows


def lets_go():
    with timed("lets_go"):
        cursor = connection.cursor()
        cursor.execute("SELECT repeat('x', 1000), 1 FROM generate_series(1, 12000)")
        rows = cursor.fetchall()
        cursor.close()
    connection.commit()
    time.sleep(1.5)
    return rows


def fetches_a_portion():
    run("SELECT * FROM items ORDER BY id LIMIT 11000")
    with connection.cursor("portions") as cursor:  # a cursor of the server's
        cursor.itersize = 1000
        cursor.execute("SELECT * FROM items")
        assert sum(1 for _ in cursor) == ROWS
    connection.commit()


def streams_all():
    """Row by row: no result holds them all."""
    with psycopg.connect("") as other, other.cursor() as cursor:
        assert sum(1 for _ in cursor.stream("SELECT n, 'streamed' FROM generate_series(1, 12000) n")) == 12000


# ---- as much text as there are data ----

def lists_all():
    run("SELECT count(*) FROM items WHERE id IN %s", tuple(range(1200)))
    connection.commit()


def lists_few():
    run("SELECT count(*) FROM items WHERE id IN %s", tuple(range(300)))
    connection.commit()


def sends_an_array():
    run("SELECT count(*) FROM items WHERE id = ANY(%s)", list(range(1200)))
    connection.commit()


# ---- transactions ----

def leaves_open():
    with timed("leaves_open"):
        run("SELECT name FROM items WHERE id = 1")
        time.sleep(1.5)
        connection.commit()


def commits_first():
    run("SELECT name FROM items WHERE id = 1")
    connection.commit()
    time.sleep(1.5)


def reads_and_writes():
    for i in range(6):
        (version,), = run("SELECT version FROM items WHERE id = %s", i + 1)
        run("UPDATE items SET version = %s WHERE id = %s", version + 1, i + 1)
        connection.commit()


def locks_and_writes():
    for i in range(6):
        (version,), = run("SELECT version FROM items WHERE id = %s FOR UPDATE", i + 1)
        run("UPDATE items SET version = %s WHERE id = %s", version + 1, i + 1)
        connection.commit()


def lets_the_server_add():
    for i in range(6):
        run("SELECT version FROM items WHERE id = %s", i + 1)
        run("UPDATE items SET version = version + 1 WHERE id = %s", i + 1)
        connection.commit()


def compares_versions():
    for i in range(6):
        (version,), = run("SELECT version FROM items WHERE id = %s", i + 1)
        run("UPDATE items SET version = %s WHERE id = %s AND version = %s", version + 1, i + 1, version)
        connection.commit()


# ---- event loops ----

async def turns():
    for _ in range(5):
        await asyncio.sleep(0.01)


async def keeps_the_loop():
    await turns()
    run("SELECT pg_sleep(0.2)")
    await turns()


def asks_slowly():
    run("SELECT pg_sleep(0.2)")


async def leaves_the_loop():
    await turns()
    await asyncio.get_running_loop().run_in_executor(None, asks_slowly)
    await turns()


def waits_outside_a_loop():
    asks_slowly()


NAMES = ["asks_for_each", "asks_once", "asks_many_things", "asks_page_by_page", "writes_in_batches", "sends_ahead", "streams_all",
         "sends_an_array", "fetches_all", "holds_all", "lets_go", "fetches_a_portion", "lists_all",
         "lists_few", "leaves_open", "commits_first", "reads_and_writes", "locks_and_writes", "lets_the_server_add", "compares_versions", "keeps_the_loop",
         "leaves_the_loop", "waits_outside_a_loop"]

prepare()
for name in sys.argv[1:] or NAMES:
    function = globals()[name]
    if asyncio.iscoroutinefunction(function):
        asyncio.run(function())
    else:
        function()
    connection.rollback()
    time.sleep(1.1)
connection.close()
