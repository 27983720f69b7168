# SPDX-License-Identifier: LGPL-2.1-or-later
"""databases.py MODE: psycopg2 used well and badly. The server is the one of the PG* variables."""
import gc
import os
import sys
import time

import psycopg2
import psycopg2.pool

from expect import expect

TIMES = 40
kept = []


def expect_both(function, opened, closed):
    expect(function, "connection", opened, closed)
    expect(function, "pgconn", opened, closed)


def query(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


def leaks_some(n, every):
    connection = psycopg2.connect("")
    query(connection)
    if n % every == 0:
        kept.append(connection)
        return
    connection.close()


def leaks_one_in_four():
    for n in range(TIMES):
        leaks_some(n, 4)
    expect_both("leaks_some", TIMES, TIMES - TIMES // 4)


def leaks_all():
    for n in range(TIMES):
        leaks_some(n, 1)
    expect_both("leaks_some", TIMES, 0)


def closes():
    """The twin of leaks_all that is right."""
    connection = psycopg2.connect("")
    try:
        query(connection)
    finally:
        connection.close()


def closes_all():
    for _ in range(15):
        closes()
    expect_both("closes", 15, 15)


def borrows(pool):
    connection = pool.getconn()
    try:
        query(connection)
    finally:
        pool.putconn(connection)


def fills_pool():
    return psycopg2.pool.ThreadedConnectionPool(5, 5, "")


def pool_of_five():
    pool = fills_pool()
    for _ in range(60):
        taken = [pool.getconn() for _ in range(5)]
        for connection in taken:
            query(connection)
        for connection in reversed(taken):
            pool.putconn(connection)
        borrows(pool)
    pool.closeall()
    expect_both("fills_pool", 5, 5)


def drops():
    """Never closed, but the last reference goes when the function returns."""
    connection = psycopg2.connect("")
    query(connection)


def drops_all():
    for _ in range(30):
        drops()
    expect_both("drops", 30, 30)


class Holder:
    def __init__(self, connection):
        self.connection = connection
        self.me = self


def drops_in_a_cycle():
    holder = Holder(psycopg2.connect(""))
    query(holder.connection)


def cycles():
    gc.disable()
    for n in range(30):
        drops_in_a_cycle()
        if n % 10 == 9:
            gc.collect()
    gc.enable()
    expect_both("drops_in_a_cycle", 30, 30)


def churns():
    connection = psycopg2.connect("")
    query(connection)
    connection.close()


def churn():
    for _ in range(120):
        churns()
    expect_both("churns", 120, 120)


class Singleton:
    @classmethod
    def get(cls):
        if not hasattr(cls, "connection"):
            cls.connection = psycopg2.connect("")
        return cls.connection


def open_at_exit():
    for _ in range(200):
        query(Singleton.get())
        time.sleep(0.002)
    expect_both("Singleton.get", 1, 0)


def cannot_connect():
    for _ in range(12):
        try:
            fails()
        except psycopg2.OperationalError:
            pass
    expect("fails", "pgconn", 12, 12)


def fails():
    return psycopg2.connect("dbname=there_is_no_such_database")


def checks_out(pool):
    kept.append(pool.getconn())


def pool_runs_dry():
    """The pool makes the connection, far from the one to blame: who never gives back."""
    pool = psycopg2.pool.ThreadedConnectionPool(0, 30, "")
    for _ in range(30):
        checks_out(pool)
    try:
        checks_out(pool)
    except psycopg2.pool.PoolError:
        expect_both("checks_out", 30, 0)


if __name__ == "__main__":
    {
        "leaks_one_in_four": leaks_one_in_four, "leaks_all": leaks_all, "closes_all": closes_all, "pool_of_five": pool_of_five,
        "drops_all": drops_all, "cycles": cycles, "churn": churn, "open_at_exit": open_at_exit, "cannot_connect": cannot_connect,
        "pool_runs_dry": pool_runs_dry,
    }[sys.argv[1]]()
    # Straight out: what the interpreter's end would close is a matter of its own.
    os._exit(0)
