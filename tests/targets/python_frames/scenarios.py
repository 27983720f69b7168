# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run by test_python_frames.py under each interpreter: scenarios.py PROBE_LIBRARY

In many situations, compares the frames that the probe reads with those that sys._getframe() gives: file, name, line.
Prints one line a difference and exits with 1 if there is one.
"""
import asyncio
import atexit
import concurrent.futures
import contextlib
import ctypes
import functools
import gc
import os
import sys
import threading
import weakref

probe = ctypes.CDLL(sys.argv[1])  # gives the GIL up during a call
probe_holding = ctypes.PyDLL(sys.argv[1])
for library in (probe, probe_holding):
    library.probe_text.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t]
    library.probe_merge.restype = ctypes.c_char_p
    library.probe_note.restype = ctypes.c_char_p
probe.probe_cost.restype = ctypes.c_double
probe.probe_truncates.argtypes = [ctypes.c_size_t]

failures = []
checks = 0
points = {}  # key -> what it stood for
points_lock = threading.Lock()


def walk(frame):
    frames = []
    while frame:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        frames.append("%s|%s|%d" % (code.co_filename, name, frame.f_lineno))
        frame = frame.f_back
    return frames


def compare(what, count, text, keys, want):
    global checks
    got = text.value.decode().splitlines()
    if count != len(want) or got != want:
        failures.append("%s: got\n  %s\nwant\n  %s" % (what, "\n  ".join(got), "\n  ".join(want)))
        return
    with points_lock:
        checks += 1
        for key, frame in zip(keys, want):
            if points.setdefault(key, frame) != frame:
                failures.append("%s: %s has the key of %s" % (what, frame, points[key]))


def check(what, *ignored):
    text, keys = ctypes.create_string_buffer(1 << 17), (ctypes.c_uint64 * 1024)()
    count, want = probe.probe_text(text, len(text), keys, 1024), walk(sys._getframe())
    compare(what + ", without the GIL", count, text, keys, want)
    count, want = probe_holding.probe_text(text, len(text), keys, 1024), walk(sys._getframe())
    compare(what, count, text, keys, want)
    return 0


def check_merge(what):
    wrong = probe_holding.probe_merge()
    if wrong:
        failures.append("%s: merged with the native frames: %s" % (what, wrong.decode()))


def recursion(depth):
    if depth:
        return recursion(depth - 1)
    check_merge("recursion")
    return check("recursion")


def generator(depth):
    check("generator, depth %d" % depth)
    yield depth
    if depth:
        yield from generator(depth - 1)
    check("generator, resumed, depth %d" % depth)


class Item:
    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        check("comparison in sort")
        return self.value < other.value

    def __hash__(self):
        check("hash in dict")
        return 1

    def __eq__(self, other):
        check("equality in dict")
        return self is other

    @property
    def attribute(self):
        return check("property")

    def __getattr__(self, name):
        check("__getattr__")
        return name

    def __del__(self):
        check("__del__")


def callbacks():
    sorted([3, 1, 2], key=lambda value: check("key of sorted") or value)
    sorted([Item(2), Item(1)])
    list(map(functools.partial(check, "map"), range(2)))
    {Item(1): 1, Item(2): 2}
    item = Item(3)
    item.attribute
    item.missing
    functools.reduce(lambda a, b: check("reduce") or b, [1, 2, 3])
    [check("comprehension") for _ in range(2)]
    any(check("generator expression") for _ in range(2))
    sorted([1], key=lambda _: check_merge("callback") or sorted([1], key=lambda _: check_merge("nested callback") or 0))


class Body:
    check("class body")
    check_merge("class body")

    class Inner:
        check("nested class body")

    def method(self):
        return check("method")

    @staticmethod
    def static():
        return check("static method")


def executed():
    names = {"check": check}
    exec("check('exec')\ndef f():\n    return check('function of exec')\n\nf()\n", names)
    eval("check('eval') or f()", names)
    exec(compile("def gefüllt():\n    check('kind 1')\ngefüllt()\n", "vorlage-ü.html", "exec"), names)
    exec(compile("def функция():\n    check('kind 2')\nфункция()\n", "шаблон.html", "exec"), names)
    exec(compile("def f():\n    check('kind 4')\nf()\n", "\U0001f40d.html", "exec"), names)
    exec(compile("f()\n", "x" * 3000, "exec"), names)


def exceptions():
    class Manager:
        def __enter__(self):
            check("__enter__")

        def __exit__(self, *error):
            check("__exit__")
            return True

    with Manager():
        raise ValueError
    try:
        raise ValueError
    except ValueError:
        check("except")
    finally:
        check("finally")

    @contextlib.contextmanager
    def manager():
        check("context manager")
        yield
        check("context manager, end")

    with manager():
        check("with")


def reuse_of_addresses():
    addresses, checks_before, count = set(), checks, 200
    for i in range(count):
        code = compile("\n" * i + "def template_%d():\n    check('template %d')\ntemplate_%d()\n" % (i, i, i),
                       "template_%d" % i, "exec")
        addresses.update(id(nested) for nested in (code,) + code.co_consts if hasattr(nested, "co_code"))
        names = {"check": check}
        exec(code, names)
        names.clear()  # else a cycle keeps them alive
        del code
    if len(addresses) > count:
        failures.append("no address was used again: this tries nothing")
    if checks - checks_before != 2 * count:
        failures.append("not every template was looked at")


def recompiled():
    """Many code objects of the same content need one definition."""
    source = "def f():\n    check('the same again')\nf()\n"
    exec(compile(source, "again", "exec"), {"check": check})
    before = probe.probe_definitions()
    for _ in range(100):
        exec(compile(source, "again", "exec"), {"check": check})
    if probe.probe_definitions() != before:
        failures.append("%d definitions for the same code" % (probe.probe_definitions() - before))


def finalizers():
    Item(4)
    cycle = Item(5)
    cycle.itself = cycle
    del cycle
    gc.collect()
    target = Body()
    reference = weakref.ref(target, functools.partial(check, "weakref callback"))
    del target
    return reference


def suspended():
    running = generator(3)
    next(running)
    list(running)
    closed = generator(1)
    next(closed)
    del closed


async def step(depth):
    check("await, depth %d" % depth)
    check_merge("await")
    await asyncio.sleep(0)
    if depth:
        await step(depth - 1)
    check("await, after, depth %d" % depth)


async def asynchronous():
    async def values():
        for i in range(2):
            check("async generator")
            await asyncio.sleep(0)
            yield i

    async for _ in values():
        check("async for")
    [check("async comprehension") async for _ in values()]
    await asyncio.gather(*[asyncio.ensure_future(step(2)) for _ in range(3)])
    loop = asyncio.get_running_loop()
    loop.call_soon(check, "call_soon")
    await loop.run_in_executor(None, check, "executor of the loop")


def threads():
    workers = [threading.Thread(target=lambda: [recursion(depth) for depth in range(10)]) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(check, ["pool"] * 8))
    if probe.probe_foreign_thread() != 0:
        failures.append("frames in a thread that Python does not know")


def forked():
    child = os.fork()
    if child == 0:
        probe.probe_forget()
        before = len(failures)
        check("forked child")
        os._exit(len(failures) - before)
    if os.waitpid(child, 0)[1] != 0:
        failures.append("the forked child's frames differ")


def detected_again():
    """As after every object that is loaded or unloaded."""
    for _ in range(3):
        probe.probe_suspend()
        if probe.probe_active() or probe.probe_truncates(1) != -1:
            failures.append("active while suspended")
        probe.probe_detect()
        check("detected again")


def truncated(depth):
    if depth:
        return truncated(depth - 1)
    for capacity in (1, 5, 20):
        if probe.probe_truncates(capacity) != capacity:
            failures.append("%d frames are not reported as cut off" % capacity)
    if probe.probe_truncates(1024) != -1:
        failures.append("a whole stack is reported as cut off")


def at_cost(depth):
    return at_cost(depth - 1) if depth > 1 else min(probe_cost(200000) for _ in range(5))


def probe_cost(rounds, measure=ctypes.PyDLL(sys.argv[1]).probe_cost):
    measure.restype = ctypes.c_double
    return measure(rounds)


class Last:
    """Dies when the interpreter clears its modules."""

    def __del__(self, check=check, finalizing=probe.probe_finalizing, failures=failures, write=os.write):
        before = len(failures)
        check("module teardown")
        write(1, b"finalizing %d failures %d\n" % (finalizing(), len(failures) - before))


def main():
    if not probe.probe_active():
        print("not active:", (probe.probe_note() or b"").decode())
        return 1
    for depth in (0, 1, 10, 100, 300):
        recursion(depth)
    for scenario in (callbacks, executed, exceptions, reuse_of_addresses, recompiled, finalizers, suspended, threads,
                     forked, detected_again):
        scenario()
    Body().method()
    Body.static()
    truncated(30)
    asyncio.run(asynchronous())
    if probe.probe_finalizing():
        failures.append("finalizing too early")
    atexit.register(check, "atexit")
    for failure in failures:
        print(failure)
    cost = "" if failures else ", ns a capture: depth 10 %.0f, depth 30 %.0f" % (at_cost(8), at_cost(28))
    print("%s: %d stacks compared, %d differ%s" % (sys.version.split()[0], checks, len(failures), cost))
    return 1 if failures else 0


last = Last()
if __name__ == "__main__":
    sys.exit(main())
