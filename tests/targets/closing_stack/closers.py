# SPDX-License-Identifier: LGPL-2.1-or-later
"""Closes sockets, or psycopg2 connections, in every way there is; each stack is labelled with what it must be told as.

closers.py socket            sockets
closers.py connection        psycopg2 connections, to the server of the PG* variables
closers.py refused           psycopg2 connections that fail, which needs no server
"""
import atexit
import contextlib
import gc
import os
import socket
import sys


if sys.argv[1] == "socket":
    make = socket.socket
else:
    import psycopg2

    def make():
        return psycopg2.connect("host=/nonexistent" if sys.argv[1] == "refused" else "")


def label(name):
    """Seen by the preloaded library only: os.environ would keep a copy of its own."""
    os.putenv("CLOSING_STACK_LABEL", name)


class Holder:
    pass


class Closer:
    def __init__(self):
        self.resource = make()

    def __del__(self):
        self.resource.close()


def cycle(holder):
    holder.itself = holder
    return None


def explicit():
    label("explicit")
    make().close()
    with contextlib.closing(make()):
        pass


def reference_count():
    label("destructor")
    make()
    Closer()
    holder = Holder()
    holder.resource = make()
    del holder


def generator():
    label("destructor-generator")

    def body():
        with contextlib.closing(make()):
            yield
    next(body())


def collected():
    gc.disable()
    label("-")
    holder = Holder()
    holder.resource = make()
    cycle(holder)
    del holder
    label("collector-called")
    gc.collect()


def collected_by_itself():
    gc.disable()
    label("-")
    holder = Holder()
    holder.resource = make()
    cycle(holder)
    del holder
    label("collector")
    gc.enable()
    for i in range(20000):
        kept = [[] for _ in range(4)], (lambda: i), {"a": []}, Holder()
        kept[3].itself = kept[3]


def collected_destructor():
    label("-")
    cycle(Closer())
    label("collector-del")
    gc.collect()


def refused():
    label("destructor")
    with contextlib.suppress(Exception):
        make()


if sys.argv[1] == "refused":
    refused()
    sys.exit(0)

for case in explicit, reference_count, generator, collected, collected_by_itself, collected_destructor:
    case()

label("-")
at_end = make()
in_module = make()
with_destructor = Closer()
in_cycle = Holder()
in_cycle.resource = make()
cycle(in_cycle)
atexit.register(at_end.close)
label("exit")
