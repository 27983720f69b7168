# SPDX-License-Identifier: LGPL-2.1-or-later
"""truths_handles.py MODE FOLDER [by_itself]: services that keep what the system gives them: connections, files, threads, children.

The line that acquires what piles up is marked `leaks: MODE`. Servers are those of the PG* variables, REDIS_URL, HTTP_PORT.
"""
import asyncio
import concurrent.futures
import logging
import multiprocessing
import os
import socket
import socketserver
import sqlite3
import subprocess
import sys
import tempfile
import threading

from truths_memory import end, parse

kept = {}


def handle(n):
    for _ in range(5):
        parse(n)


def tenants(folder):
    """A connection for each who asks, found again by a name that never comes again."""
    import psycopg2
    for n in range(40):
        handle(n)
        kept[n] = connection = psycopg2.connect("")  # leaks: tenants
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", (n,))
            cursor.fetchone()


def cursors(folder):
    """What the driver and libpq keep for a connection is as much as the connection is."""
    import psycopg2
    for n in range(60):
        handle(n)
        connection = psycopg2.connect("")  # leaks: cursors
        cursor = connection.cursor()
        cursor.execute("SELECT repeat('x', 5000) FROM generate_series(1, 40)")
        kept[n] = connection, cursor


def sessions(folder):
    import redis
    for n in range(60):
        handle(n)
        kept[n] = client = redis.Redis.from_url(os.environ["REDIS_URL"])
        client.set(f"session-{n}", "here")  # leaks: sessions


def fetches(folder):
    import httpx
    for n in range(15):
        handle(n)
        kept[n] = client = httpx.Client()
        client.get(f"http://127.0.0.1:{os.environ['HTTP_PORT']}/{n}")  # leaks: fetches


def children(folder):
    for n in range(40):
        handle(n)
        kept[n] = subprocess.Popen(["/bin/true"])  # leaks: children
    for child in kept.values():
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


def exports(folder):
    for n in range(200):
        handle(n)
        with tempfile.NamedTemporaryFile("w", delete=False) as file:  # leaks: exports
            file.write("a,b,c\n" * 100)


def handlers(folder):
    logger = logging.getLogger("requests")
    logger.setLevel(logging.INFO)
    for n in range(100):
        handle(n)
        logger.addHandler(logging.FileHandler(f"{folder}/requests.log"))  # leaks: handlers
        logger.info("request %d", n)


def executors(folder):
    for n in range(100):
        kept[n] = executor = concurrent.futures.ThreadPoolExecutor(2)
        executor.submit(handle, n).result()  # leaks: executors


def pools(folder):
    for n in range(12):
        kept[n] = pool = multiprocessing.Pool(2)  # leaks: pools
        pool.map(parse, range(4))


def loops(folder):
    for n in range(60):
        handle(n)
        kept[n] = loop = asyncio.new_event_loop()  # leaks: loops
        loop.run_until_complete(asyncio.sleep(0))


def databases(folder):
    path = f"{folder}/data.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE visits (n INTEGER)")
    connection.close()
    for n in range(100):
        handle(n)
        kept[n] = connection = sqlite3.connect(path)  # leaks: databases
        connection.execute("SELECT count(*) FROM visits").fetchone()


def shard(path, n):
    return sqlite3.connect(f"{path}?cache=private&shard={n}", uri=True, check_same_thread=False)  # leaks: shards


def shards(folder):
    """Opened in one function, and used in another, where the library acquires what it needs for that."""
    path = f"file:{folder}/shard.sqlite"
    with sqlite3.connect(path, uri=True) as connection:
        connection.execute("CREATE TABLE visits (n INTEGER)")
    connection.close()
    for n in range(30):
        handle(n)
        kept[n] = connection = shard(path, n)
        connection.execute("SELECT count(*) FROM visits").fetchone()


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


def upstreams(folder):
    """A server of its own, whose threads wait for what the clients leave open."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for n in range(30):
            handle(n)
            kept[n] = client = socket.create_connection(server.server_address)  # leaks: upstreams
            client.sendall(b"here\n")
            client.recv(100)
        end()


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
    if sys.argv[3:] != ["by_itself"]:
        end()
