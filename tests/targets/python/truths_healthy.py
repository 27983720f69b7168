# SPDX-License-Identifier: LGPL-2.1-or-later
"""truths_healthy.py MODE FOLDER: services and jobs that do it right, and look from afar as if they did not."""
import asyncio
import collections
import concurrent.futures
import functools
import logging
import logging.handlers
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from truths_memory import parse

OPERATIONS = 4000


@functools.lru_cache(maxsize=1000)
def render(n):
    return bytearray(700 + n % 90)


def lru(folder):
    for n in range(2 * OPERATIONS):
        parse(n)
        render(n)


def tables(folder):
    """Loaded at the start, used to the end."""
    table = {n: bytearray(900) for n in range(3000)}
    for n in range(OPERATIONS):
        parse(n)
        table[n % 3000][0] = 1


def batch(folder):
    """Collects all day, writes, and forgets."""
    rows = []
    for n in range(OPERATIONS):
        parse(n)
        rows.append(bytearray(800 + n % 20))
        if len(rows) == OPERATIONS // 8:
            with open(f"{folder}/batch", "wb") as file:
                file.writelines(rows)
            rows.clear()


def job(folder):
    """Frees what it gathered when it is done, just before it ends."""
    rows = [bytearray(800 + parse(n)["id"] % 20) for n in range(OPERATIONS)]
    total = sum(map(len, rows))
    rows.clear()
    for n in range(OPERATIONS // 4):
        total += parse(n)["id"]


def ttl(folder):
    entries = collections.OrderedDict()
    for n in range(2 * OPERATIONS):
        parse(n)
        entries[n] = bytearray(700 + n % 40)
        while next(iter(entries)) < n - 600:
            entries.popitem(last=False)


def pool(folder):
    import psycopg2.pool
    connections = psycopg2.pool.ThreadedConnectionPool(2, 8, "")

    def request(n):
        parse(n)
        connection = connections.getconn()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT %s", (n,))
                return cursor.fetchone()
        finally:
            connections.putconn(connection)

    with concurrent.futures.ThreadPoolExecutor(6) as executor:
        list(executor.map(request, range(600)))
    connections.closeall()


def rotating(folder):
    logger = logging.getLogger("requests")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.handlers.RotatingFileHandler(f"{folder}/log", maxBytes=20000, backupCount=3))
    for n in range(OPERATIONS):
        logger.info("request %d of %s", n, parse(n)["id"])


def tenant_logs(folder):
    """Twelve files, each opened when its tenant first comes, and written to all along."""
    logs = {}
    for n in range(OPERATIONS):
        parse(n)
        tenant = n % min(12, 1 + n // 40)
        if tenant not in logs:
            logs[tenant] = open(f"{folder}/tenant-{tenant}", "w", buffering=1)
        logs[tenant].write(f"request {n}\n")
    for log in logs.values():
        log.close()


def temporary(folder):
    for n in range(300):
        parse(n)
        with tempfile.NamedTemporaryFile("w", dir=folder) as file:
            file.write("a,b,c\n" * 100)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            with open(f"{scratch}/part", "w") as file:
                file.write("part")


def commands(folder):
    for n in range(40):
        parse(n)
        subprocess.run(["/bin/true"], check=True, capture_output=True)


def executors(folder):
    for n in range(100):
        with concurrent.futures.ThreadPoolExecutor(4) as executor:
            list(executor.map(parse, range(8)))


def dispatcher(folder):
    """The main thread is done at once, and the interpreter waits in its end for another one, which goes on as long as it
    has to: a thread and a file for each request."""
    def dispatch():
        for n in range(400):
            worker = threading.Thread(target=answer, args=(folder, n))
            worker.start()
            worker.join()
    threading.Thread(target=dispatch).start()


def answer(folder, n):
    with open(f"{folder}/{n}", "w") as file:
        parse(n)
        file.write("x")
    os.unlink(f"{folder}/{n}")


def daemon(folder):
    """Leaves its starter and works on, without a terminal and in a session of its own."""
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    held = collections.deque(maxlen=500)
    for n in range(OPERATIONS):
        parse(n)
        held.append(bytearray(700 + n % 40))
    with open(f"{folder}/done", "w") as file:
        file.write("done")


def listen():
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(server.getsockname()[1], flush=True)
    return server


def answer(connection):
    with connection:
        line = connection.recv(100)
        connection.sendall(str(parse(int(line))["id"]).encode())


def serve(server):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    recent = collections.deque(maxlen=50)
    while True:
        connection, peer = server.accept()
        recent.append(bytearray(900))
        answer(connection)


def prefork(folder):
    """Four workers that share one listening socket; the first process only looks after them."""
    server = listen()
    workers = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            serve(server)
        workers.append(pid)

    def stop(*_):
        for pid in workers:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    for pid in workers:
        os.waitpid(pid, 0)


async def converse(reader, writer):
    while line := await reader.readline():
        writer.write(str(parse(int(line))["id"]).encode() + b"\n")
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def host():
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(converse, sock=listen())
    async with server:
        await stop.wait()


def aio(folder):
    asyncio.run(host())


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
