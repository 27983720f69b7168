# SPDX-License-Identifier: LGPL-2.1-or-later
"""Resident memory of a process, told apart by whose it is, as /proc shows it from outside."""
import dataclasses
import pathlib
import re
import struct
import subprocess

PAGE = 4096
ENTRY = POINTER = struct.Struct("<Q")
INDEX = {"ids": 4, "pairs": 16}  # bytes of a slot
INDEX_TABLES, INDEX_WINDOW = 28, 48
ARENA = 64 << 20  # libc's arenas begin at multiples of it
OFFSETS = struct.Struct("<32x6Q")  # of the spool's areas in its header: nodes, definitions, lanes; each with its capacity


@dataclasses.dataclass
class Map:
    start: int
    end: int
    offset: int
    name: str
    fields: dict = dataclasses.field(default_factory=dict)
    flags: tuple = ()

    @property
    def resident(self):
        return self.fields.get("Rss", 0)


@dataclasses.dataclass(frozen=True)
class Memory:
    rss: int
    pss: int
    stacks: int     # the stack table: the spool's stack nodes and definitions, and their index
    index: int      # of that, the index by which nodes and stacks are found again
    lanes: int      # the rest of the spool
    tables: int     # what else the shim mapped, and its zeroed data
    libraries: int  # the shim's other pages, and those of the libraries that it loaded


def maps_of(pid):
    maps = []
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        words = line.split(None, 5)
        if re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", words[0]):
            start, end = (int(word, 16) for word in words[0].split("-"))
            maps.append(Map(start, end, int(words[2], 16), words[5] if len(words) > 5 else ""))
        elif words[0] == "VmFlags:":
            maps[-1].flags = tuple(line.split()[1:])
        elif words[-1] == "kB":
            maps[-1].fields[words[0].rstrip(":")] = int(words[1]) << 10
    return maps


def is_stack_table(each):
    """By the area of the spool that it maps."""
    if not each.name.endswith(".spool"):
        return False
    with open(each.name, "rb") as spool:
        nodes, _, definitions, _, lanes, _ = OFFSETS.unpack(spool.read(OFFSETS.size))
    area = max(offset for offset in (0, nodes, definitions, lanes) if offset <= each.offset)
    return area in (nodes, definitions)


def is_table(each, below):
    """The shim's mappings are not reserved, as libc's arenas, which have addresses of their own."""
    if each.name:
        return False
    zeroed = below is not None and below.end == each.start and below.name.endswith("libstray.so")
    return zeroed or ("nr" in each.flags and each.start % ARENA != 0)


def symbols_of(library, names):
    """{name: (address, size)}"""
    said = subprocess.run(["nm", "-S", library], stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [line.split() for line in said.splitlines()]
    return {row[3]: (int(row[0], 16), int(row[1], 16)) for row in rows if len(row) == 4 and row[3] in names}


def resident_of(pid, tables, maps):
    """Bytes that are present of `tables`: {address: size}."""
    total = 0
    with open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        for table, size in tables.items():
            holder = next((each for each in maps if each.start <= table < each.end), None)
            if holder is None:
                continue
            pagemap.seek(table // PAGE * ENTRY.size)
            entries = pagemap.read(-(-min(size, holder.end - table) // PAGE) * ENTRY.size)
            total += sum(PAGE for entry, in ENTRY.iter_unpack(entries) if entry >> 63)
    return total


def index_of(pid, maps):
    """The tables of preload/record/index.c, found by its variables: a pointer first, then those to the tables."""
    shim = next((each for each in maps if each.name.endswith("libstray.so") and each.offset == 0), None)
    if shim is None:
        return 0
    tables = {}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for name, (address, _) in symbols_of(shim.name, INDEX).items():
            memory.seek(shim.start + address + 8)
            for number, (table,) in enumerate(POINTER.iter_unpack(memory.read(INDEX_TABLES * POINTER.size))):
                tables[table] = ((2 + number % 2 << 11 + number // 2) + INDEX_WINDOW) * INDEX[name]
    tables.pop(0, None)
    return resident_of(pid, tables, maps)


def memory_of(pid, libraries_without=()):
    """`libraries_without`: names of the files that are mapped without the tracer."""
    maps = maps_of(pid)
    sums = {"stacks": 0, "lanes": 0, "tables": 0, "libraries": 0}
    index = index_of(pid, maps)
    for each, below in zip(maps, [None, *maps]):
        if each.name.endswith(".spool"):
            sums["stacks" if is_stack_table(each) else "lanes"] += each.resident
        elif is_table(each, below):
            sums["tables"] += each.resident
        elif each.name.startswith("/") and libraries_without and each.name not in libraries_without:
            sums["libraries"] += each.resident
    sums["stacks"] += index
    sums["tables"] -= index
    return Memory(index=index, rss=sum(each.resident for each in maps), pss=sum(each.fields.get("Pss", 0) for each in maps), **sums)


def files_of(pid):
    return {each.name for each in maps_of(pid) if each.name.startswith("/")}
