# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes what an interpreter says of the lines of its code objects, for test_python_line.c.

    for python in python3.8 python3.9 ...; do $python tests/unit/generate_python_lines.py tests/golden/python_lines; done

Each run writes 3.MINOR.txt. A code object is two lines:
    code FIRST_LINE BYTECODE_SIZE NAME TABLE_IN_HEX
    lines OFFSET:LINE ...      from this offset on; the truth of PyCode_Addr2Line(), -1 for "no line"
"""
import argparse
import ast
import base64
import ctypes
import json
import os
import sys
import types

HAND_MADE = '''
import asyncio, contextlib

def plain(a, b):
    c = a + b
    d = (c *
         a)
    return max(
        c,
        d,
        key=lambda v:
            -v,
    )

def closure(n):
    total = 0
    def inner(m):
        nonlocal total
        total += m * n
        return [total
                for _ in range(m)
                if _ % 2]
    return inner

@contextlib.contextmanager
def manager():
    try:
        yield 1
    finally:
        print("end")

def exceptions(x):
    try:
        with manager() as m, \\
             manager() as k:
            raise ValueError(m, k)
    except (ValueError,
            TypeError) as error:
        return error
    except OSError:
        pass
    else:
        return 1
    finally:
        x()

def loops(items):
    while True:
        for i in items:
            if not i:
                continue
            elif i > 3:
                break
        else:
            return items
        assert items, "message"
        del items

def generator(n):
    for i in range(n):
        got = yield i
        if got:
            yield from generator(got)

async def coroutine(queue):
    async with queue as q:
        async for item in q:
            await asyncio.sleep(
                item)
    return [await x async for x in queue if x]

class Body(dict,
           metaclass=type):
    """doc"""
    field: int = 1
    def method(self):
        return super().method(
        )
    class Inner:
        value = {k: v
                 for k, v in {}.items()}

'''


def sources():
    yield HAND_MADE
    # Jumps that do not fit one table entry: far lines, long lines, backwards lines, many columns.
    yield "def far(x):\n    x = 1\n" + "\n" * 400 + "    y = 2\n" + "\n" * 90 + "    return (x,\n" + "\n" * 200 + " y)\n"
    yield "def long(a):\n    return [" + ", ".join("a[%d]" % i for i in range(300)) + "]\n"
    yield "def wide(a):\n    return (" + " " * 200 + "a\n      +" + " " * 3000 + "a())\n"
    yield "def backwards(a):\n    return a(\n" + "        1,\n" * 150 + "    ).b(a)\n"
    yield "x = 1\n" * 3 + "\n" * 300 + "def f(): pass\n" + "y = x\n"
    yield "x = [\n" + "".join("    (%d, x),\n" % i for i in range(200)) + "]\n"


def library_functions():
    for module in (argparse, ast, base64, json.decoder, os):
        for value in list(vars(module).values()):
            if isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
                yield value.__code__


def with_nested(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            for nested in with_nested(constant):
                yield nested


def vectors(code):
    address_to_line = ctypes.pythonapi.PyCode_Addr2Line
    address_to_line.argtypes = [ctypes.py_object, ctypes.c_int]
    table = code.co_linetable if sys.version_info >= (3, 10) else code.co_lnotab
    size = len(code.co_code)
    changes, last = [], None
    for offset in range(0, size, 2):
        line = address_to_line(code, offset)
        if line != last:
            changes.append("%d:%d" % (offset, line))
        last = line
    return "code %d %d %s %s\nlines %s\n" % (
        code.co_firstlineno, size, code.co_name, table.hex() or "-", " ".join(changes))


def main():
    codes = []
    for source in sources():
        codes += with_nested(compile(source, "vectors", "exec"))
    codes += library_functions()
    with open(os.path.join(sys.argv[1], "3.%d.txt" % sys.version_info[1]), "w") as out:
        out.write("# SPDX-License-Identifier: LGPL-2.1-or-later\n")
        out.write("# %s, by tests/unit/generate_python_lines.py\n" % sys.version.split()[0])
        for code in codes:
            if len(code.co_code) < 8000:
                out.write(vectors(code))


main()
