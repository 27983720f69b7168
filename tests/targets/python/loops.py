# SPDX-License-Identifier: LGPL-2.1-or-later
"""Event loops that are kept from their events by calls that wait, each beside a healthy twin. The servers are that of PGHOST and
so on, and that of REDIS_URL.

    loops.py
"""
import asyncio
import contextlib
import os
import socket
import subprocess
import threading
import time

import psycopg
import redis
import redis.asyncio

MOMENT = 0.2
connection = psycopg.connect("", autocommit=True)
plain, limited = (redis.Redis.from_url(os.environ["REDIS_URL"], **limits) for limits in ({}, {"socket_timeout": 30}))


@contextlib.contextmanager
def full_server():
    """A server whose queue is full for a moment: a connect takes until the kernel tries again."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as clients:
        def empty():
            time.sleep(MOMENT)
            with contextlib.suppress(OSError):
                while True:
                    clients.enter_context(server.accept()[0])

        for _ in range(4):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        threading.Thread(target=empty, daemon=True).start()
        yield server.getsockname()
        server.shutdown(socket.SHUT_RDWR)


async def turns():
    for _ in range(5):
        await asyncio.sleep(0.01)


# ---- bad ----

async def connects():
    with full_server() as address, socket.socket() as client:
        await turns()
        client.connect(address)


async def connects_with_a_limit():
    with full_server() as address:
        await turns()
        socket.create_connection(address, timeout=30).close()


async def asks_redis():
    await turns()
    plain.blpop("nobody", MOMENT)


async def asks_redis_with_a_limit():
    await turns()
    limited.blpop("nobody", MOMENT)


async def asks_the_database():
    await turns()
    connection.execute("SELECT pg_sleep(%s)", (MOMENT,))


# ---- healthy ----

async def connects_aside():
    with full_server() as address, socket.socket() as client:
        client.setblocking(False)
        await turns()
        await asyncio.get_running_loop().sock_connect(client, address)


async def asks_redis_aside():
    async with redis.asyncio.Redis.from_url(os.environ["REDIS_URL"]) as client:
        await turns()
        await client.blpop("nobody", MOMENT)


async def asks_the_database_aside():
    async with await psycopg.AsyncConnection.connect("", autocommit=True) as client:
        await turns()
        await client.execute("SELECT pg_sleep(%s)", (MOMENT,))


async def is_stopped_amid_calls_that_never_wait():
    """Whoever is not let run by the system for a while, as on a busy machine, waits for no answer."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        await turns()
        stops = subprocess.Popen(["/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do kill -STOP $0; sleep 0.06; kill -CONT $0; sleep 0.01; done",
                                  str(os.getpid())])
        while stops.poll() is None:
            for _ in range(1000):
                with contextlib.suppress(BlockingIOError):
                    ours.recv(1)


def outside_a_loop():
    with full_server() as address:
        socket.create_connection(address, timeout=30).close()
    limited.blpop("nobody", MOMENT)
    connection.execute("SELECT pg_sleep(%s)", (MOMENT,))


for bad_or_healthy in (connects, connects_with_a_limit, asks_redis, asks_redis_with_a_limit, asks_the_database, connects_aside,
                       asks_redis_aside, asks_the_database_aside, is_stopped_amid_calls_that_never_wait):
    asyncio.run(bad_or_healthy())
outside_a_loop()
connection.close()
