# SPDX-License-Identifier: LGPL-2.1-or-later
"""Other heap profilers that Debian has, on pairs of malloc and free, and valgrind once for scale."""
import tools
from context import Result, progress
from measure import median_of
from tables import table

CASES = [("young", 5), ("young", 30), ("ring", 30)]
FEWER = 10  # one in so many pairs for tools that take microseconds for each


def net(context, used, words, pairs, rounds):
    """{tool: (wall, cpu)} in nanoseconds a pair, the start subtracted."""
    empty = context.runner.in_turn(used, [*words[:3], 0, *words[3:]], rounds)
    results = context.runner.in_turn(used, [*words[:3], pairs, *words[3:]], rounds)
    return {name: tuple((median_of(taken, field) - median_of(empty[name], field)) * 1e9 / pairs for field in ("wall", "cpu"))
            for name, taken in results.items() if name in empty}


def added(figures, used):
    """The same above what each is counted from, those that nothing is counted from only."""
    bases = {tool.against for tool in used}
    return {tool.name: tuple(mine - base for mine, base in zip(figures[tool.name], figures[tool.against]))
            for tool in used if tool.name not in bases and tool.name in figures}


def measured(context, used, pairs, rounds):
    """{tool: [(wall, cpu) of each case]}"""
    rows = {}
    for kind, depth in CASES:
        progress(f"rivals: {kind}, depth {depth}, {pairs} pairs")
        words = [context.program("malloc_pairs"), depth, 1, kind]
        for name, figures in added(net(context, used, words, pairs, rounds), used).items():
            rows.setdefault(name, []).append(figures)
    return rows


def run(context):
    pairs, rounds = context.pick((200_000, 3), (2_000_000, 5))
    rows = measured(context, [*context.tools, *context.sampled, *context.rivals_that(sample=True)], pairs, rounds)
    few = [context.tools[0], *context.rivals_that(sample=False), *tools.those_that_work([tools.valgrind()])]
    rows.update(measured(context, few, pairs // FEWER, rounds))
    header = ["added, wall / processor time", *(f"{kind}, depth {depth}" for kind, depth in CASES)]
    text = (f"One thread, {pairs} pairs, medians of {rounds} alternating runs, nanoseconds a pair; {pairs // FEWER} pairs for what takes microseconds. "
            "jemalloc's and tcmalloc's profilers are counted from the same allocator without profiling; they keep a profile of what is alive, "
            "not a history.\n\n" +
            table(header, [[name, *(f"{wall:+.0f} / {cpu:+.0f}" for wall, cpu in cells)] for name, cells in rows.items()]))
    return Result(text)
