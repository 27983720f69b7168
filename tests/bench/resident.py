# SPDX-License-Identifier: LGPL-2.1-or-later
"""Resident memory that tracing adds, by what takes it, beside what the report calls `tracer`."""
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile

import served
import servers
import smaps
import tools
from context import Result, progress
from measure import started
from tables import Bar, table

NAMES = ("threads", "resident-service")
THREADS = (1, 8, 64)
BLOCKS = 100_000  # of each thread
ROUNDS = 3
MIB = 1 << 20


def own_process(pid, program):
    """The program's: a tool may have come before it."""
    return next(each for each in servers.tree(pid) if servers.Measured.executable(each) == os.path.realpath(program))


def tracer_told(build, folder):
    said = subprocess.run([build / "stray", "report", "trace", "--format", "json"], cwd=folder, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(said)["memory"]["parts"]["tracer"]


@contextlib.contextmanager
def waiting(context, tool, threads, folder):
    """A process whose threads have done their work and wait; yields its pid."""
    program = context.program("threads")
    reader, writer = os.pipe()
    with started(tool.command(program, threads, BLOCKS), stdin=reader, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        os.close(reader)
        process.stdout.readline()
        yield own_process(process.pid, program)
        os.close(writer)
        process.wait(60)


def by_threads(context, threads):
    """([Memory untraced, ...], [Memory traced, ...], tracer as told, threads)"""
    plain, traced, told = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            with waiting(context, tools.Tool("untraced"), threads, folder) as pid:
                plain.append(smaps.memory_of(pid))
                files = smaps.files_of(pid)
            with waiting(context, tools.stray(context.build, "stray"), threads, folder) as pid:
                traced.append(smaps.memory_of(pid, files))
            told.append(tracer_told(context.build, folder))
    return plain, traced, statistics.median(told), threads


def of_service(context):
    """The same of the FastAPI service after some load."""
    env = context.cleanup.enter_context(servers.postgres())
    command, program, variables, _, load = served.kinds(context, env)["service"]
    with servers.served(tools.Tool("untraced"), command, variables) as server:
        load(server.port)
        pid = own_process(server.process.pid, program)
        plain, files = smaps.memory_of(pid), smaps.files_of(pid)
    with servers.served(tools.stray(context.build, "stray"), command, variables) as server:
        load(server.port)
        pid = own_process(server.process.pid, program)
        traced, status = smaps.memory_of(pid, files), pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        server.stop(program)
        return [plain], [traced], tracer_told(context.build, server.folder), int(re.search(r"Threads:\s+(\d+)", status)[1])


def median(memories, field):
    return statistics.median(getattr(memory, field) for memory in memories)


def row(name, plain, traced, told, _):
    cells = [median(traced, field) - median(plain, field) for field in ("rss", "pss")]
    cells += [median(traced, field) for field in ("stacks", "index", "lanes", "tables", "libraries")]
    return [name, *(f"{cell / 1024:.0f}" for cell in [median(plain, "rss"), *cells, told])]


def bar(name, plain, traced, _, threads):
    added, stacks = median(traced, "rss") - median(plain, "rss"), median(traced, "stacks")
    limit = 2 * MIB + threads * MIB // 8 + stacks
    return Bar(f"resident memory added, {name}", f"{added / MIB:.2f} MiB", f"at most {limit / MIB:.2f} MiB, of which {stacks / MIB:.2f} the stack table",
               added <= limit)


def run(context):
    cases = {}
    if context.wants("threads"):
        for threads in THREADS:
            progress(f"resident: {threads} threads")
            cases[f"{threads} thread{'s' if threads > 1 else ''} of malloc and free"] = by_threads(context, threads)
    if context.wants("resident-service"):
        progress("resident: service")
        figures = of_service(context)
        cases[f"the FastAPI service, {figures[3]} threads"] = figures
    header = ["KiB", "untraced RSS", "RSS added", "PSS added", "stack table", "its index", "lanes", "tables", "libraries", "`tracer` in the report"]
    text = ("`stack table`: the spool's nodes and definitions, and the index by which they are found again, which grows with them alone; `lanes`: the "
            "rest of the spool; `tables`: what else the shim maps, and its zeroed data; `libraries`: pages of the shim and of libraries that it loads, shared by all traced processes. What the report calls `tracer` is what came "
            "after the first sample.\n\n" + table(header, [row(name, *figures) for name, figures in cases.items()]))
    return Result(text, [bar(name, *figures) for name, figures in cases.items()])
