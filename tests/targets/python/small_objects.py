# SPDX-License-Identifier: LGPL-2.1-or-later
"""Objects of 300 bytes, which the interpreter's own allocator serves. One argument: what to do with them."""
import collections
import ctypes
import json
import os
import sys
import threading
import time

from expect import expect

PIECE = b"x"
FILL = 300 - sys.getsizeof(b"")  # so that a bytes object of so many bytes takes 300

kept = []


def make():
    return PIECE * FILL  # one request to the allocator


def make_in_thread():
    return PIECE * FILL


def make_in_child():
    return PIECE * FILL


def keep_some(maker, made, keep):
    mine = [None] * keep
    for i in range(made):
        thing = maker()
        if i < keep:
            mine[i] = thing
    return mine


def finish():
    """Without an end of the interpreter, which would release what is kept."""
    sys.stdout.flush()
    os._exit(0)


def counts():
    kept.append(keep_some(make, 5000, 700))
    expect("make", "pyobject", 5000, 4300)
    finish()


def threads():
    def run():
        kept.append(keep_some(make_in_thread, 2500, 100))
    workers = [threading.Thread(target=run) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    expect("make_in_thread", "pyobject", 10000, 9600)
    finish()


def fork():
    kept.append(keep_some(make, 5000, 700))
    child = os.fork()
    if child == 0:
        kept.append(keep_some(make_in_child, 3000, 200))
        expect("make_in_child", "pyobject", 3000, 2800)
        finish()
    _, status = os.waitpid(child, 0)
    assert status == 0
    expect("make", "pyobject", 5000, 4300)
    finish()


def resized():
    """Through the public interface: each is resized in place, to another block, to malloc's, or fails."""
    api = ctypes.pythonapi
    api.PyObject_Malloc.restype = api.PyObject_Realloc.restype = api.PyObject_Calloc.restype = ctypes.c_void_p
    api.PyObject_Realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    api.PyObject_Calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    api.PyObject_Free.argtypes = [ctypes.c_void_p]
    api.PyObject_Free(None)
    assert not api.PyObject_Malloc(ctypes.c_size_t(2**63)) and not api.PyObject_Calloc(2**40, 2**40)
    block = api.PyObject_Calloc(3, 100)
    assert ctypes.string_at(block, 300) == bytes(300)
    ctypes.memset(block, 7, 300)
    for size in (299, 400, 100, 5000, 300, 20):
        have = min(size, 100)
        block = api.PyObject_Realloc(block, size)
        assert ctypes.string_at(block, have)[:20] == b"\7" * 20
    assert not api.PyObject_Realloc(block, 2**63)
    assert ctypes.string_at(block, 20) == b"\7" * 20
    api.PyObject_Free(block)
    print("done")


class Cache:
    def __init__(self):
        self.entries = []

    def add(self):
        self.entries.append(PIECE * FILL)  # never taken out


class Lru:
    def __init__(self):
        self.entries = collections.OrderedDict()

    def put(self, key):
        self.entries[key] = PIECE * FILL
        if len(self.entries) > 1000:
            self.entries.popitem(last=False)


def load_table():
    return [PIECE * FILL for _ in range(4000)]


def drop():
    for _ in range(20):
        PIECE * FILL


def work(cache):
    """Steadily, for some seconds: a lookup table from the start, an LRU of 1000, what is dropped at once; and a leak."""
    table = load_table()
    lru = Lru()
    added = 0
    for turn in range(1500):
        for i in range(12):
            lru.put(turn * 12 + i)
            if cache:
                cache.add()
                added += 1
            drop()
        time.sleep(0.001)
    print(json.dumps({"table": len(table), "lru": len(lru.entries), "added": added}))


def leak():
    kept.append(Cache())  # until the end
    work(kept[0])


def healthy():
    work(None)


if __name__ == "__main__":
    {"counts": counts, "threads": threads, "fork": fork, "resized": resized, "leak": leak, "healthy": healthy}[sys.argv[1]]()
