# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cost of tracing a pair of malloc and free: by the clock, and in processor time of all processes and of the thread alone."""
import dataclasses
import statistics

import tools
from context import Result, progress
from measure import fail, median_of
from tables import Bar, at_most, table

KINDS = ("young", "ring", "random", "cross", "keep")
BARRED = KINDS[:4]
DEPTHS = (5, 30)
THREADS = (1, 2)
MEASURES = {
    "wall": "By the clock, nanoseconds a pair of one thread",
    "cpu": "Processor time of all processes (the tool's as well), nanoseconds a pair",
    "own": "Processor time of the allocating thread alone, nanoseconds a pair",
}


@dataclasses.dataclass(frozen=True)
class Figures:
    wall: float    # nanoseconds a pair
    cpu: float
    own: float
    stored: float  # bytes a pair


def threads_own(taken):
    numbers = [float(line) for line in taken.output.splitlines() if line.replace(".", "", 1).isdigit()]
    if not numbers:
        fail(f"malloc_pairs printed no figures: {taken.output!r}")
    return statistics.mean(numbers)


def counting(build, pairs):
    """Looks once at what each of stray's traces says: all pairs must be in it."""
    seen = set()

    def look(tool, folder):
        if tool.name.startswith("stray") and tool.name not in seen:
            seen.add(tool.name)
            opened = tools.told(build, folder)["heap"]["opened"]
            if not pairs <= opened <= pairs + 1000:
                fail(f"{tool.name}: {opened} blocks counted, of {pairs}")
    return look


def empty_runs(context, used, threads):
    """{tool: (wall, cpu)} of the start and the end of the program and the tool: medians, in seconds."""
    words = [context.program("malloc_pairs"), 5, threads, 0]
    results = context.runner.in_turn(used, words, context.pick(5, 11))
    return {name: (median_of(taken, "wall"), median_of(taken, "cpu")) for name, taken in results.items()}


def case(context, used, starts, kind, depth, threads, pairs, rounds):
    """{tool: Figures}"""
    progress(f"pairs: {kind}, depth {depth}, {threads} threads")
    words = [context.program("malloc_pairs"), depth, threads, pairs, kind]
    results = context.runner.in_turn(used, words, rounds, look=counting(context.build, pairs * threads))
    return {name: Figures(
        wall=(median_of(taken, "wall") - starts[name][0]) * 1e9 / pairs,
        cpu=(median_of(taken, "cpu") - starts[name][1]) * 1e9 / (pairs * threads),
        own=statistics.median(map(threads_own, taken)),
        stored=median_of(taken, "stored") / (pairs * threads)) for name, taken in results.items()}


def added(figures, measure, tool):
    return getattr(figures[tool], measure) - getattr(figures["untraced"], measure)


def ratio(figures, measure, rival):
    return added(figures, measure, "stray") / added(figures, measure, rival)


def rivals_of(used):
    return [tool.name for tool in used if tool.name.startswith("heaptrack")]


def measured_table(cases, used, measure):
    names = [tool.name for tool in used[1:]]
    rivals = rivals_of(used)
    rows = [[kind, depth, threads, f"{getattr(figures['untraced'], measure):.1f}",
             *(f"{added(figures, measure, name):+.1f}" for name in names),
             *(f"{ratio(figures, measure, rival):.3f}" for rival in rivals)] for (kind, depth, threads), figures in cases.items()]
    return table(["freed", "depth", "threads", "untraced", *names, *(f"stray/{rival.replace('heaptrack ', '')}" for rival in rivals)], rows)


def stored_table(cases, used):
    names = [tool.name for tool in used[1:]]
    return table(["freed", "depth", "threads", *names],
                 [[*key, *(f"{figures[name].stored:.3f}" for name in names)] for key, figures in cases.items()])


def ratio_bars(cases, used):
    limits = {"heaptrack": 0.1, "heaptrack --raw": 0.2}
    for measure, word in (("wall", "by the clock"), ("cpu", "by processor time of all processes")):
        for depth in DEPTHS:
            for rival in rivals_of(used):
                ratios = {kind: ratio(cases[kind, depth, 1], measure, rival) for kind in BARRED}
                worst = max(ratios, key=ratios.get)
                yield Bar(f"a pair at depth {depth}, stray by {rival}, {word}",
                          f"{ratios['young']:.3f} freed at once, {ratios[worst]:.3f} at worst ({worst})",
                          f"at most {limits[rival]}", ratios[worst] <= limits[rival])


def other_bars(cases):
    for depth in DEPTHS:
        yield at_most(f"stretch: a pair freed at once, depth {depth}, added to the thread",
                      added(cases["young", depth, 1], "own", "stray"), 60, "{:.0f} ns".format)
    for depth in DEPTHS:
        one, two = (added(cases["young", depth, threads], "own", "stray") for threads in THREADS)
        yield Bar(f"a pair freed at once, depth {depth}, added with 2 threads by that with 1", f"{two / one:.2f}",
                  "at most 1, with 5 % for noise", two / one <= 1.05)


def run(context):
    used = [*context.tools, tools.full(context.build)]
    pairs, rounds = context.pick((1_000_000, 3), (5_000_000, 5))
    starts = {threads: empty_runs(context, used, threads) for threads in THREADS}
    cases = {(kind, depth, threads): case(context, used, starts[threads], kind, depth, threads, pairs, rounds)
             for kind in KINDS for depth in DEPTHS for threads in THREADS}
    parts = [f"{pairs} pairs a thread, medians of {rounds} alternating runs, the start of program and tool subtracted. "
             "`untraced` is what a pair takes, under a tool is what it adds; the last columns are stray's addition by the rival's."]
    parts += [f"{title}:\n\n{measured_table(cases, used, measure)}" for measure, title in MEASURES.items()]
    parts += [f"Bytes on disk a pair:\n\n{stored_table(cases, used)}"]
    return Result("\n\n".join(parts), [*ratio_bars(cases, used), *other_bars(cases)])
