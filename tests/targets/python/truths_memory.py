# SPDX-License-Identifier: LGPL-2.1-or-later
"""truths_memory.py MODE [by_itself]: services whose memory grows without bound, each by a mistake that people make.

It ends by SIGTERM or by itself. The line whose blocks pile up is marked `leaks: MODE`; one whose small objects do by the same
mistake, `with it: MODE`. Payloads are larger than 512
bytes, but for `texts`: smaller ones live in Python's pools.
"""
import asyncio
import collections
import functools
import gc
import hashlib
import json
import signal
import sys
import threading

import prometheus_client

OPERATIONS = 10000


recent = collections.deque(maxlen=300)


def parse(n):
    """What any request does: most of it is forgotten at once, some later."""
    recent.append(bytearray(600 + n % 80))
    text = json.dumps({"id": n, "items": list(range(40)), "note": "x" * (600 + n % 50)})
    return json.loads(text)


REQUESTS = prometheus_client.Counter("requests", "Requests by the address asked for", ["address"])


def labels(operations):
    """A label whose values come from the clients."""
    for n in range(operations):
        body = parse(n)
        REQUESTS.labels(f"/search?session={n}&q={body['note']}").inc()  # leaks: labels


class Cache:
    """Entries carry the time they are good for; nobody sweeps those that are past it."""

    def __init__(self):
        self.entries = {}

    def get(self, key, load, now):
        entry = self.entries.get(key)
        if entry is None or entry[1] < now:
            entry = self.entries[key] = load(key), now + 10
        return entry[0]


def load_page(key):
    return bytearray(900 + key % 64)  # leaks: cache


pages = Cache()


def cache(operations):
    for n in range(operations):
        parse(n)
        pages.get(n - n % 2, load_page, n)


background = []


async def notify(n):  # with it: tasks
    await asyncio.sleep(0)
    return bytes(700 + n % 50)  # leaks: tasks


async def accept(operations):
    for n in range(operations):
        parse(n)
        background.append(asyncio.create_task(notify(n)))  # so that they are not collected before they ran
        await asyncio.sleep(0)


def tasks(operations):
    asyncio.run(accept(operations))


@functools.lru_cache(maxsize=None)
def claims(token):
    return hashlib.sha256(token.encode()).hexdigest() * 12  # leaks: memo


def memo(operations):
    for n in range(operations):
        parse(n)
        claims(f"token-{n}")  # with it: memo


class Session:
    def __init__(self, n):
        self.buffer = bytearray(1000 + n % 9)  # leaks: cycles
        self.handlers = {"close": self.close}

    def close(self):
        self.buffer.clear()


def cycles(operations):
    """The collector was turned off to be fast; a session refers to itself by its bound method."""
    gc.disable()
    for n in range(operations):
        parse(n)
        Session(n)


class Signal:
    def __init__(self):
        self.callbacks = []

    def connect(self, callback):
        self.callbacks.append(callback)


def subscribe(signal, n):
    snapshot = bytearray(800 + n % 30)  # leaks: closures

    def changed():
        return len(snapshot)

    signal.connect(changed)


changes = Signal()


def closures(operations):
    for n in range(operations):
        parse(n)
        subscribe(changes, n)


failures = []


def check(n):
    body = bytearray(900 + n % 70)  # leaks: errors
    if n % 5 == 0:
        raise ValueError(len(body))  # with it: errors


def errors(operations):
    """Each error is kept to be told later, and with it its traceback, the frames and what they hold."""
    for n in range(2 * operations):
        parse(n)
        try:
            check(n)
        except ValueError as error:  # with it: errors
            failures.append(error)


own = threading.local()
served = threading.Barrier(5)


def remember(n):
    own.__dict__.setdefault("seen", {})[n] = bytearray(640 + n % 20)  # leaks: thread_local


def worker(first, last):
    for n in range(first, last):
        parse(n)
        remember(n)
    served.wait()
    threading.Event().wait()


def thread_local(operations):
    share = operations  # each: four take turns, which makes the work uneven at a smaller scale
    workers = [threading.Thread(target=worker, args=(k * share, (k + 1) * share), daemon=True) for k in range(4)]
    for each in workers:
        each.start()
    served.wait()


visits = {}


def remember_visit(key):
    visits[key] = f"visit-{key:010d}-" + "y" * 71  # leaks: texts


def texts(operations):
    """Each is of some hundred bytes (no multiple of 8), which the interpreter's own allocator serves."""
    for n in range(4 * operations):
        if n % 4 == 0:
            parse(n)
        remember_visit(n)


entries = []


def history(operations):
    """One list that is added to for ever: no more blocks, but one that grows."""
    for n in range(operations):
        parse(n)
        for k in range(50):
            entries.append(k)  # leaks: history


def end():
    """As services end: they are told to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    globals()[sys.argv[1]](OPERATIONS)
    if sys.argv[2:] != ["by_itself"]:
        end()
