# SPDX-License-Identifier: LGPL-2.1-or-later
"""Small services, each with one mistake, for docs/USER_GUIDE.md.

    cases.py CASE

CASE is the name of a function below that takes no arguments. The servers are those of PGHOST and so on and of REDIS_URL;
with-servers.sh starts private ones.
"""
import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2
import psycopg2.pool
import redis
import sqlalchemy

REQUESTS = 60
state = {}


def handle(n):
    """What any request does besides."""
    return json.loads(json.dumps({"id": n, "items": list(range(200)), "note": "x" * 600}))


# ---- connections ----

def validate_jwt(n):
    connection = psycopg2.connect("")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", (n,))
        state[n] = connection, cursor.fetchone()


def revoke_session(n):
    connection = psycopg2.connect("")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", (n,))
        if n % 4 == 0:
            state[-1 - n] = connection  # the early return that forgot it
            return
    connection.close()


def get_status(n):
    """Looks suspicious, and is right: every path closes."""
    connection = psycopg2.connect("")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", (n,))
    finally:
        connection.close()


def leaked():
    for n in range(REQUESTS):
        validate_jwt(n)
        revoke_session(n)
        get_status(n)
    os._exit(0)  # killed, as services are


def validate_jwt_fixed(n):
    connection = psycopg2.connect("")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", (n,))
    finally:
        connection.close()


def fixed():
    globals()["validate_jwt"] = validate_jwt_fixed
    leaked()


def drops_connection(n):
    connection = psycopg2.connect("")
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", (n,))


def dropped():
    for n in range(REQUESTS):
        drops_connection(n)


class Job:
    def __init__(self, n):
        self.connection = psycopg2.connect("")
        self.on_done = [self.finish]  # refers to itself: only the garbage collector ends it

    def finish(self):
        self.connection.close()


def cycles():
    for n in range(REQUESTS):
        Job(n)
        if n % 20 == 19:
            gc.collect()


def checks_out(pool):
    connection = pool.getconn()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def pool_runs_dry():
    pool = psycopg2.pool.ThreadedConnectionPool(1, 40, "")
    for _ in range(40):
        checks_out(pool)
    os._exit(0)


def health(n):
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.ping()
    state[n] = client


def health_checks():
    for n in range(REQUESTS):
        health(n)
    os._exit(0)


def asks(n):
    connection = psycopg2.connect("")
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", (n,))
    connection.close()


def churn():
    for n in range(200):
        asks(n)


def open_at_exit():
    connection = psycopg2.connect("")
    with connection.cursor() as cursor:
        for n in range(200):
            cursor.execute("SELECT %s", (n,))
            connection.commit()
    os._exit(0)


def hung_up():
    """A server that closes its side; the client never looks again."""
    listener = socket.create_server(("127.0.0.1", 0))
    for n in range(REQUESTS):
        state[n] = client = socket.create_connection(listener.getsockname())
        client.sendall(b"hello")
        server, _ = listener.accept()
        server.recv(5)
        server.close()
    time.sleep(1.2)
    os._exit(0)


def pool_of_orders():
    return psycopg2.pool.ThreadedConnectionPool(2, 4, "")


def pool_of_users():
    return psycopg2.pool.ThreadedConnectionPool(2, 4, "")


def ask_pool(pool, statement):
    held = [pool.getconn(), pool.getconn()]
    for connection in held:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
    for connection in held:
        pool.putconn(connection)


def two_pools():
    orders, users = pool_of_orders(), pool_of_users()
    for _ in range(40):
        ask_pool(orders, "SELECT 1")
        ask_pool(users, "SELECT 2, 3")


def export_report(engine):
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT pg_sleep(0.02)"))


def pool_too_small():
    engine = sqlalchemy.create_engine("postgresql+psycopg2://", pool_size=2, max_overflow=0)

    def work():
        for _ in range(20):
            export_report(engine)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def after_fork():
    connection = psycopg2.connect("")
    for _ in range(3):
        child = os.fork()
        if child == 0:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            os._exit(0)
        os.waitpid(child, 0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


# ---- memory ----

pages = {}


def load_page(key):
    return bytearray(900 + key % 64)


def cache_without_sweep():
    for n in range(20000):
        handle(n)
        pages[n] = load_page(n), time.monotonic() + 10


def bounded_cache():
    for n in range(20000):
        handle(n)
        pages[n % 500] = load_page(n)


def retention():
    """A burst of small blocks, freed but for a few that lie between."""
    size = 300_000
    burst = [bytearray(600) for _ in range(size)]
    state["kept"] = burst[:: size // 400]
    time.sleep(1.2)
    del burst
    time.sleep(2.5)


# ---- statements ----

def prepare():
    connection = psycopg2.connect("")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE items (id int PRIMARY KEY, name text, version int DEFAULT 0)")
        cursor.execute("INSERT INTO items SELECT n, 'name ' || n FROM generate_series(1, 12000) n")
    connection.commit()
    return connection


def deletes_one_by_one(connection, ids):
    with connection.cursor() as cursor:
        for number in ids:
            cursor.execute("DELETE FROM items WHERE id = %s", (number,))
    connection.commit()


def statement_loop():
    deletes_one_by_one(prepare(), range(100, 400))


def get_all(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM items")
        return cursor.fetchall()


def whole_table():
    connection = prepare()
    get_all(connection)
    connection.commit()


def by_ids(connection, ids):
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM items WHERE id IN %s", (ids,))
        return cursor.fetchall()


def ten_thousand_ids():
    connection = prepare()
    by_ids(connection, tuple(range(10000)))
    connection.commit()


def thinks_in_transaction(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM items WHERE id = 1")
    time.sleep(1.5)  # calls a slow service
    connection.commit()


def idle_transaction():
    thinks_in_transaction(prepare())


def book_seat(connection, number):
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM items WHERE id = %s", (number,))
        (version,) = cursor.fetchone()
        cursor.execute("UPDATE items SET version = %s WHERE id = %s", (version + 1, number))
    connection.commit()


def check_then_act():
    connection = prepare()
    for n in range(1, 8):
        book_seat(connection, n)


async def handler(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.2)")  # synchronous, in async code


async def serve(connection):
    for _ in range(3):
        await asyncio.sleep(0.01)
        await handler(connection)


def blocked_loop():
    asyncio.run(serve(prepare()))


def keeps_result(connection, n):
    cursor = connection.cursor()
    cursor.execute("SELECT repeat('x', 2000) FROM generate_series(1, 50)")
    cursor.fetchone()
    state[n] = cursor  # neither read to the end nor closed


def held_results():
    connection = psycopg2.connect("")
    for n in range(REQUESTS):
        keeps_result(connection, n)
    os._exit(0)


# ---- what else can be left behind ----

def export(n):
    file = tempfile.NamedTemporaryFile("w", delete=False)
    file.write("a,b,c\n" * 100)
    file.close()
    try:
        os.rmdir(file.name)  # fails: it is no folder
    except OSError:
        pass


def temporary_files():
    for n in range(100):
        handle(n)
        export(n)


def spawn():
    subprocess.Popen(["/bin/true"])


def zombies():
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    subprocess._cleanup = lambda: None  # which would wait for those of earlier calls
    for n in range(40):
        handle(n)
        spawn()
    time.sleep(0.5)
    os._exit(0)


def watch(n, stop):
    thread = threading.Thread(target=stop.wait, daemon=True)
    thread.start()


def threads():
    stop = threading.Event()
    for n in range(300):
        for _ in range(10):
            handle(n)
        watch(n, stop)
    os._exit(0)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
