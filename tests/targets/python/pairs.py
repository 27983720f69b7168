# SPDX-License-Identifier: LGPL-2.1-or-later
"""Handles of libraries behind modules of the standard library, pycurl, and functions that ctypes finds by name.

    pairs.py MODE
"""
import ctypes
import sqlite3
import ssl
import sys

from expect import expect

MADE = 40
kept = []


def leaks_contexts():
    for i in range(MADE):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if i % 4 == 0:
            kept.append(context)
        del context


def leaks_connections(context):
    for i in range(MADE):
        connection = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
        if i % 4 == 0:
            kept.append(connection)
        del connection


def closes_connections(context):
    for _ in range(MADE):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")


def contexts():
    leaks_contexts()
    expect("leaks_contexts", "SSL_CTX", MADE, MADE - 10)


def tls():
    context = ssl.create_default_context()
    leaks_connections(context)
    expect("leaks_connections", "SSL", MADE, MADE - 10)
    closes_connections(context)
    expect("closes_connections", "SSL", MADE, MADE)


def leaks_databases():
    for i in range(MADE):
        database = sqlite3.connect(":memory:")
        if i % 4 == 0:
            kept.append(database)
        else:
            database.close()


def closes_databases():
    for _ in range(MADE):
        sqlite3.connect(":memory:").close()


def databases():
    leaks_databases()
    expect("leaks_databases", "sqlite3", MADE, MADE - 10)
    closes_databases()
    expect("closes_databases", "sqlite3", MADE, MADE)


def by_ctypes(library):
    for i in range(MADE):
        database = ctypes.c_void_p()
        assert library.sqlite3_open(b":memory:", ctypes.byref(database)) == 0
        if i % 4 != 0:
            assert library.sqlite3_close(database) == 0


def ctypes_databases():
    by_ctypes(ctypes.CDLL("libsqlite3.so.0"))
    expect("by_ctypes", "sqlite3", MADE, MADE - 10)


def by_pycurl():
    import pycurl
    for i in range(MADE):
        curl = pycurl.Curl()
        if i % 4 == 0:
            kept.append(curl)
        else:
            curl.close()


def curl():
    by_pycurl()
    expect("by_pycurl", "curl_easy", MADE, MADE - 10)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    sys.stdout.flush()
    import os
    os._exit(0)  # what is kept stays
