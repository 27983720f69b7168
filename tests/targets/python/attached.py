# SPDX-License-Identifier: LGPL-2.1-or-later
"""attached.py SHIM FOLDER WHAT: a program that attaches to itself in the middle of its work."""
import ctypes
import os
import socket
import struct
import sys
import tempfile
import threading
import time

from expect import expect

SHIM, FOLDER, WHAT = sys.argv[1:4]
OPTIONS = sys.argv[4:]
PIECE = b"x"
shim = None
number = 0
kept = []


def make_request():
    """For the next trace, whose number goes up."""
    global shim, number
    shim = ctypes.CDLL(SHIM)
    number += 1
    path = os.path.join(FOLDER, f"attached-{number}.{os.getpid()}.stray")
    files = [os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600) for name in (path, path + ".spool")]
    variables = [f"STRAY_OUTPUT={FOLDER}", f"STRAY_TRACE_PATH={path}", f"STRAY_SPOOL_PATH={path}.spool", *OPTIONS]
    block = b"".join(word.encode() + b"\0" for word in variables) + b"\0"
    return ctypes.c_char_p(struct.pack("=IIiiII", 2, 24 + len(block), *files, 0, 0) + block)


def begin():
    """What `stray attach` does, by a thread of its own."""
    request = make_request()
    in_thread(lambda: shim.stray_attach_begin(request))


def end():
    in_thread(lambda: shim.stray_attach_end())


def in_thread(call):
    results = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    assert results in ([0], [1]), results  # 1: a thread was held up amid an event


def make_object():
    return PIECE * 267  # and 33 bytes of the object itself: one request to the interpreter's own allocator


def make_buffer():
    return bytearray(5000)


def connect(address):
    return socket.create_connection(address)


class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]


def taken_from_malloc():
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = Mallinfo
    return ask().uordblks


def run_for_calls():
    """The interpreter makes its pending calls between two instructions of the main thread."""
    for _ in range(1000):
        pass


def objects():
    early = [make_object() for _ in range(50)]
    begin()
    run_for_calls()
    kept.extend(make_object() for _ in range(3000))
    del kept[:1000]
    del early[:20]
    end()
    run_for_calls()
    for _ in range(5000):
        make_object()
    kept.extend(make_object() for _ in range(70))
    expect("make_object", "pyobject", 3000, 1000)


def exactly_after_samples():
    """So soon that the interpreter has made no pending call in between, and long before the next sample would have been taken."""
    OPTIONS[:] = ["STRAY_PYTHON_MEMORY=sampled", "STRAY_SAMPLE=64M"]
    begin()
    run_for_calls()
    OPTIONS[:] = ["STRAY_PYTHON_MEMORY=exact"]
    request = make_request()
    in_thread(lambda: shim.stray_attach_end() or shim.stray_attach_begin(request))
    run_for_calls()
    before = taken_from_malloc()
    kept.extend(make_object() for _ in range(3000))
    assert taken_from_malloc() - before < 500 * 1000, "objects are where samples are put"
    del kept[:1000]
    end()
    expect("make_object", "pyobject", 3000, 1000)


def frames():
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    held = [connect(server.getsockname()) for _ in range(5)]
    kept.extend(make_buffer() for _ in range(10))
    begin()
    mine = [connect(server.getsockname()) for _ in range(12)]
    kept.extend(make_buffer() for _ in range(40))
    del kept[10:20]
    for each in mine[:4] + held[:2]:
        each.close()
    end()
    kept.extend(make_buffer() for _ in range(10))
    expect("connect", "connection", 12, 4)
    expect("make_buffer", "heap", 40, 10)


def again():
    """Threads that work all the time, and traces one after the other."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            things = [bytes(i) for i in range(100, 400)]
            with tempfile.TemporaryFile() as file:
                file.write(b"".join(things))
            time.sleep(0)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(12):
        begin()
        kept.append(tuple(make_buffer() for _ in range(30)))
        run_for_calls()
        end()
        kept.clear()
    stop.set()
    for worker in workers:
        worker.join()
    expect("make_buffer", "heap", 30, 0)


def full_at_last():
    """A trace that tells sums of what was soon released, and after it one that tells each call."""
    for options in [], ["STRAY_FULL=1"]:
        OPTIONS[:] = options
        begin()
        for _ in range(100):
            make_buffer()
        end()


def psycopg():
    """Whose libpq is loaded for its module alone."""
    import psycopg2

    def ask(connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 2")
            assert cursor.fetchall() == [(2,)]

    early = [psycopg2.connect("") for _ in range(3)]
    begin()
    kept.extend(connect_database(psycopg2) for _ in range(4))
    ask(early[0])
    ask(kept[0])
    early[1].close()
    kept.pop().close()
    end()
    expect("connect_database", "pgconn", 4, 1)
    expect("connect_database", "connection", 4, 1)


def connect_database(psycopg2):
    return psycopg2.connect("")


{"objects": objects, "exactly_after_samples": exactly_after_samples, "frames": frames, "again": again, "full_at_last": full_at_last, "psycopg": psycopg}[WHAT]()
sys.stdout.flush()
