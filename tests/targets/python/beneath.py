# SPDX-License-Identifier: LGPL-2.1-or-later
"""Blocks that are allocated inside of calls of libpq: beneath it, and by Python code that it calls back. psycopg2 reaches its
libpq as a library that it is linked with, psycopg by name."""
import hashlib
import os
import sys

from expect import expect

CONNECTIONS, KEPT, NOTICES, SIZE = 3, 1, 6, 50000
kept = []


def connect(driver):
    connection = driver.connect("")
    return connection


def keep_connection(driver):
    connection = driver.connect("")
    kept.append(connection)


def on_notice(_):
    kept.append(bytearray(SIZE - 1))


def on_digest(_):
    kept.append(hashlib.sha256())


def notices(connection, handler):
    connection.add_notice_handler(handler)
    for _ in range(NOTICES):
        connection.execute("do $$ begin raise notice 'one'; end $$")
    connection.remove_notice_handler(handler)


def main(name):
    driver = __import__(name)
    for _ in range(CONNECTIONS):
        connect(driver).close()
    for _ in range(KEPT):
        keep_connection(driver)
    expect("connect", "pgconn", CONNECTIONS, CONNECTIONS)
    expect("keep_connection", "pgconn", KEPT, 0)
    if name == "psycopg":
        hashlib.sha256()  # what OpenSSL makes but once
        notices(kept[0], on_notice)
        notices(kept[0], on_digest)
        expect("on_notice", "heap", NOTICES, 0, NOTICES * SIZE)
    os._exit(0)  # what is kept is not released


main(sys.argv[1])
