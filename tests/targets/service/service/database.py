# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pool of five and the tables. Used as a pool should be: borrowed, given back, closed at shutdown."""
from contextlib import contextmanager

from psycopg2.pool import ThreadedConnectionPool

from service import config

TABLES = """
    CREATE TABLE IF NOT EXISTS account (name text PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS session (id text PRIMARY KEY, owner text NOT NULL REFERENCES account);
    CREATE TABLE IF NOT EXISTS research (id integer PRIMARY KEY, status text NOT NULL);
    TRUNCATE research, session, account;
    INSERT INTO account SELECT 'user-' || n FROM generate_series(0, 9) n;
    INSERT INTO session SELECT 'session-' || n, 'user-' || n % 10 FROM generate_series(0, 99) n;
    INSERT INTO research SELECT n, CASE WHEN n % 2 = 0 THEN 'done' ELSE 'running' END FROM generate_series(0, 9) n;
"""

_pool = None


def start() -> None:
    global _pool
    _pool = ThreadedConnectionPool(config.POOL_SIZE, config.POOL_SIZE, config.DATABASE_URL)
    with pooled() as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)


def stop() -> None:
    _pool.closeall()


@contextmanager
def pooled():
    connection = _pool.getconn()
    try:
        with connection:
            yield connection
    finally:
        _pool.putconn(connection)
