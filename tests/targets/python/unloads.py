#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One thread opens sockets; another loads and unloads a library all the while. Each open has its Python function."""
import _ctypes
import ctypes
import glob
import socket
import threading

from expect import expect

OPENS = 3000
done = threading.Event()
kept = []


def by_socket():
    kept.append(socket.socket(socket.AF_UNIX))


def load_and_unload():
    library = glob.glob("/usr/lib/x86_64-linux-gnu/libgomp.so.1")[0]
    dlclose = ctypes.CDLL(None).dlclose  # the other thread runs meanwhile
    dlclose.argtypes = [ctypes.c_void_p]
    while not done.is_set():
        dlclose(_ctypes.dlopen(library, 1))


if __name__ == "__main__":
    other = threading.Thread(target=load_and_unload)
    other.start()
    for n in range(OPENS):
        by_socket()
        if len(kept) == 100:
            for each in kept:
                each.close()
            kept.clear()
    done.set()
    other.join()
    expect("by_socket", "socket", OPENS, OPENS)
