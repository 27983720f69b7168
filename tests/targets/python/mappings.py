# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mappings of a Python program.

    mappings.py arenas      keeps every object it makes: the interpreter maps arena after arena
    mappings.py module      maps by the module mmap, and unmaps every other one
"""
import mmap
import os
import sys
import time

from expect import expect

kept = []


def keeps_objects(count):
    for number in range(count):
        kept.append(str(number))


def maps(size):
    return mmap.mmap(-1, size)


def arenas():
    for _ in range(300):
        keeps_objects(10000)


def module():
    for number in range(200):
        mapped = maps(8192)
        if number % 2:
            mapped.close()
        kept.append((mapped, bytes(2000)))
        time.sleep(0.001)
    expect("maps", "mmap", 200, 100, 100 * 8192)


globals()[sys.argv[1]]()
os._exit(0)  # the interpreter would give everything back
