# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pools of connections beside each other. The server is that of PGHOST and so on.

    pools.py MODE     two_engines two_pools one_engine other_database short_lived listener
                      short_engine short_pool fitting_engine fitting_pool jobs_engine jobs_pool far_pool
"""
import concurrent.futures
import contextlib
import os
import socket
import sys
import threading
import time

import psycopg_pool
import psycopg2
import psycopg2.pool
import sqlalchemy

TURNS = 40
kept = []  # to the end, which on a busy machine takes as long as all the turns


def orders_engine():
    return sqlalchemy.create_engine("postgresql+psycopg2://", pool_size=2)


def ask_orders(engine):
    with engine.connect() as one, engine.connect() as other:
        one.execute(sqlalchemy.text("SELECT 'orders'"))
        other.execute(sqlalchemy.text("SELECT 'orders', 2"))


def ask_users(engine):
    with engine.connect() as one, engine.connect() as other:
        one.execute(sqlalchemy.text("SELECT 'users'"))
        other.execute(sqlalchemy.text("SELECT 'users', 2"))


def two_engines():
    orders, users = orders_engine(), orders_engine()
    kept.extend((orders, users))
    for _ in range(TURNS):
        ask_orders(orders)
        ask_users(users)


def one_engine():
    """Two functions open its connections, and both use them all."""
    engine = orders_engine()
    with engine.connect():
        ask_users(engine)
    for _ in range(TURNS):
        ask_orders(engine)
        ask_users(engine)


def pool_of_orders():
    return psycopg2.pool.ThreadedConnectionPool(2, 4, "")


def pool_of_users(parameters=""):
    return psycopg2.pool.ThreadedConnectionPool(2, 4, parameters)


def ask(pool, statement):
    held = [pool.getconn(), pool.getconn()]
    for connection in held:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
    for connection in held:
        pool.putconn(connection)


def ask_two(orders, users):
    kept.extend((orders, users))
    for _ in range(TURNS):
        ask(orders, "SELECT 1")
        ask(users, "SELECT 2, 3")


def two_pools():
    ask_two(pool_of_orders(), pool_of_users())


def other_database():
    ask_two(pool_of_orders(), pool_of_users("dbname=template1"))


def short_lived():
    """A pool, and a connection of its own for a task of a moment."""
    pool = pool_of_orders()
    for turn in range(TURNS):
        ask(pool, "SELECT 1")
        if turn == 0:
            own = psycopg2.connect("")
            with own.cursor() as cursor:
                for _ in range(20):
                    cursor.execute("SELECT 2, 3")
            own.close()


def listener():
    """A pool, and one connection that somebody keeps for himself: maybe for a reason."""
    pool, own = pool_of_orders(), psycopg2.connect("")
    kept.extend((pool, own))
    for _ in range(TURNS):
        ask(pool, "SELECT 1")
        with own, own.cursor() as cursor:
            cursor.execute("SELECT 2, 3")


# ---- threads that share a pool ----

POOLED = 2
SLOWLY = "SELECT pg_sleep(0.03)"


def small_engine():
    return sqlalchemy.create_engine("postgresql+psycopg2://", pool_size=POOLED, max_overflow=0)


def small_pool():
    pool = psycopg_pool.ConnectionPool("", min_size=POOLED, max_size=POOLED)
    pool.wait()
    return pool


def ask_engine(engine):
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(SLOWLY))


def ask_pool(pool):
    with pool.connection() as connection:
        connection.execute(SLOWLY)


def by_threads(ask, pool, count):
    def turns():
        for _ in range(TURNS // count):
            ask(pool)

    threads = [threading.Thread(target=turns) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_jobs(ask, pool):
    """More threads than connections, but never more jobs at a time than connections: threads wait for jobs only."""
    with concurrent.futures.ThreadPoolExecutor(6) as executor:
        running = {executor.submit(ask, pool) for _ in range(POOLED)}
        for _ in range(TURNS):
            done, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            running |= {executor.submit(ask, pool) for _ in done}


def short_engine():
    by_threads(ask_engine, small_engine(), 6)


def short_pool():
    by_threads(ask_pool, small_pool(), 6)


def fitting_engine():
    by_threads(ask_engine, small_engine(), POOLED)


def fitting_pool():
    by_threads(ask_pool, small_pool(), POOLED)


def jobs_engine():
    by_jobs(ask_engine, small_engine())


def jobs_pool():
    by_jobs(ask_pool, small_pool())


CONNECTS_FOR = 0.03


def pass_on(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def bring(client):
    """The server is far away: until it answers takes a while."""
    time.sleep(CONNECTS_FOR)
    with client, socket.create_connection((os.environ["PGHOST"], int(os.environ["PGPORT"]))) as server:
        back = threading.Thread(target=pass_on, args=(server, client))
        back.start()
        pass_on(client, server)
        back.join()


class Roomy:
    """Opens one more whenever none is free, under its lock; what comes back is at hand at once, and two are kept."""

    def __init__(self, parameters):
        self.parameters, self.free, self.lock = parameters, [], threading.Lock()

    def take(self):
        with self.lock:
            return self.free.pop() if self.free else psycopg2.connect(self.parameters)

    def give(self, connection):
        if len(self.free) < 2:
            self.free.append(connection)
        else:
            connection.close()


def ask_far(pool):
    connection = pool.take()
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.01)")
    pool.give(connection)


def far_pool():
    """Threads wait while another one connects, which takes longer than their queries, and then use what others gave back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            threading.Thread(target=bring, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    by_threads(ask_far, Roomy("host=127.0.0.1 port=%d" % listener.getsockname()[1]), 6)



globals()[sys.argv[1]]()
