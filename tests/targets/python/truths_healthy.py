# SPDX-License-Identifier: LGPL-2.1-or-later
"""truths_healthy.py MODE FOLDER: services and jobs that do it right, and look from afar as if they did not."""
import asyncio
import collections
import concurrent.futures
import ctypes
import functools
import importlib
import logging
import logging.handlers
import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import weakref

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


class Pool:
    """As many connections as are wanted at one time, and fewer again when they are not."""

    def __init__(self, port):
        self.port, self.free, self.lock = port, [], threading.Lock()

    def take(self):
        with self.lock:
            if self.free:
                return self.free.pop()
        return socket.create_connection(("127.0.0.1", self.port))

    def give(self, connection):
        with self.lock:
            self.free.append(connection)

    def shrink(self, size):
        with self.lock:
            while len(self.free) > size:
                self.free.pop(0).close()


def elastic(folder):
    pool = Pool(int(folder))

    def ask(_):
        connection = pool.take()
        connection.sendall(b"x" * 50)
        connection.recv(50)
        pool.give(connection)

    for users in (2, 4, 16, 20, 16, 6, 3, 2):
        with concurrent.futures.ThreadPoolExecutor(users) as executor:
            list(executor.map(ask, range(30 * users)))
        pool.shrink(users // 2 + 2)
    pool.shrink(0)


def late_imports(folder):
    """Modules are loaded when they are first wanted, all along; so is a table of all users there are."""
    names = ["xml.dom.minidom", "email.mime.text", "http.client", "sqlite3", "decimal", "fractions", "statistics", "csv", "zipfile",
             "tarfile", "unittest", "doctest", "pdb", "ctypes", "difflib", "argparse", "html.parser", "calendar", "plistlib"]
    users = {}
    for n in range(2 * OPERATIONS):
        parse(n)
        name = sys.intern(f"user-{n * 7919 % 900}")
        if name not in users:
            users[name] = bytearray(700)
        if n % 400 == 399 and names:
            importlib.import_module(names.pop())


def sorted_lists(folder):
    """Large lists, sorted and dropped, beside a database in memory that is filled once."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE rows (a INTEGER, b TEXT)")
    database.executemany("INSERT INTO rows VALUES (?, ?)", ((n, f"row {n} " * 5) for n in range(10000)))
    for n in range(12):
        rows = sorted((k * 7919 % 30000, f"row {k} " * 8) for k in range(30000))
        total = sum(number for number, _ in rows)
        del rows
        parse(total)
        database.execute("SELECT count(*) FROM rows WHERE a % 7 = ?", (n % 7,)).fetchone()


class Document:
    def __init__(self, n):
        self.text = bytearray(2000 + n)


def weak_cache(folder):
    """Documents are shared while somebody holds them; log records are kept 200 at a time."""
    logger = logging.getLogger("requests")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.handlers.MemoryHandler(200, target=logging.NullHandler()))
    documents, held = weakref.WeakValueDictionary(), collections.deque(maxlen=50)
    for n in range(2 * OPERATIONS):
        document = documents.get(n % 900)
        if document is None:
            document = documents[n % 900] = Document(n % 900)
        held.append(document)
        logger.info("request %d of %d", n, parse(n)["id"])


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


class Attributes:
    abcdefgh = 1


def looks_up(folder):
    """As C code does: the names are texts that live for the look-up, or as long as the cache of types holds on to them."""
    by_name = ctypes.pythonapi.PyObject_GetAttrString
    by_name.argtypes, by_name.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.py_object
    for _ in range(300):
        for _ in range(100):
            by_name(Attributes, b"abcdefgh")
        time.sleep(0.005)


def commands(folder):
    for n in range(40):
        parse(n)
        subprocess.run(["/bin/true"], check=True, capture_output=True)


def executors(folder):
    for n in range(100):
        with concurrent.futures.ThreadPoolExecutor(4) as executor:
            list(executor.map(parse, range(8)))


def workers(folder):
    """Pipes lead to each worker; who has a pool cannot close them, and the interpreter does."""
    for _ in range(2):
        with multiprocessing.Pool(2) as pool:
            pool.map(render, range(20))


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
