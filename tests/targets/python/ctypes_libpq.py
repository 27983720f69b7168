# SPDX-License-Identifier: LGPL-2.1-or-later
"""libpq by ctypes, as psycopg without its C part uses it: functions by dlsym, called by libffi.

    ctypes_libpq.py LIBRARY ROUNDS      every round opens a connection that is never finished, and one that is
"""
import ctypes
import sys

from expect import expect

libpq = ctypes.CDLL(sys.argv[1])
libpq.PQconnectdb.argtypes, libpq.PQconnectdb.restype = [ctypes.c_char_p], ctypes.c_void_p
libpq.PQfinish.argtypes, libpq.PQfinish.restype = [ctypes.c_void_p], None
libpq.PQexec.argtypes, libpq.PQexec.restype = [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_void_p
libpq.PQclear.argtypes, libpq.PQclear.restype = [ctypes.c_void_p], None
libpq.PQstatus.argtypes = [ctypes.c_void_p]


def leaks():
    return libpq.PQconnectdb(b"")


def closes():
    return libpq.PQconnectdb(b"")


def executes(conn):
    return libpq.PQexec(conn, b"SELECT 1")


rounds = int(sys.argv[2])
for number in range(rounds):
    leaked, closed = leaks(), closes()
    assert libpq.PQstatus(leaked) == 0 and libpq.PQstatus(closed) == 0
    libpq.PQclear(executes(closed))
    libpq.PQfinish(closed)
for resource in ("pgconn", "connection"):
    expect("leaks", resource, rounds, 0)
    expect("closes", resource, rounds, rounds)
expect("executes", "pgresult", rounds, rounds)
