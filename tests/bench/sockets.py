# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tracing costs where connections and queries are all that a program does."""
import dataclasses
import re
import subprocess

from context import Result, progress
from measure import finish, in_turn, relative, spread, started
from servers import free_port, postgres
from tables import at_most, percent, percents, table
from tools import without_heap

NAMES = ("connect", "accept", "pq-connect", "pq-exec", "pgbench")
TITLES = {
    "connect": "socket, connect, read, close",
    "accept": "accept, close",
    "pq-connect": "PQconnectdb, PQexec, PQclear, PQfinish",
    "pq-exec": "PQexec, PQclear",
    "pgbench": "a transaction of pgbench",
}
CLIENTS = 4  # of pgbench
LIMITS = {"connect": 0.05, "accept": 0.05, "pq-connect": 0.05, "pq-exec": 0.05, "pgbench": 0.02}


@dataclasses.dataclass(frozen=True)
class Each:
    wall: float  # nanoseconds for each
    cpu: float   # of the measured process


def of_output(output):
    """The last line, after what a tool may have said."""
    lines = [line.split() for line in output.splitlines() if re.fullmatch(r"[\d.]+ [\d.]+", line)]
    return Each(*map(float, lines[-1]))


def against_other_side(context, mine, other, times):
    """A function that measures one side of connections, the other side being untraced."""
    program = context.program("connects")

    def measure(tool):
        port = free_port()
        with started([program, other, port, times], stdout=subprocess.PIPE, text=True) as process:
            taken = context.runner.run(tool, [program, mine, port, times])
            finish(process, [program, other])
        return of_output(taken.output)
    return measure


def queries(context, what, times, env):
    return lambda tool: of_output(context.runner.run(tool, [context.program("queries"), what, times], env=env).output)


def pgbench(context, transactions, env):
    """The client is traced: what it does in one of its transactions is a select."""
    words = ["pgbench", "-n", "-S", "-c", CLIENTS, "-t"]

    def measure(tool):
        empty = context.runner.run(tool, [*words, 1], env=env)
        taken = context.runner.run(tool, [*words, 1 + transactions // CLIENTS], env=env)
        rate = float(re.search(r"tps = ([\d.]+) \(without", taken.output)[1])
        return Each(1e9 / rate, (taken.cpu - empty.cpu) * 1e9 / transactions)
    return measure


def measures(context, env):
    """{case: function of a tool}"""
    scale = context.pick(1, 2)
    return {
        "connect": against_other_side(context, "connect", "accept", 10_000 * scale),
        "accept": against_other_side(context, "accept", "connect", 10_000 * scale),
        "pq-connect": queries(context, "connect", 100 * scale, env),
        "pq-exec": queries(context, "exec", 10_000 * scale, env),
        "pgbench": pgbench(context, 20_000 * scale, env),
    }


def prepare(context, env):
    if context.wants("pgbench"):
        untraced = context.tools[0]
        context.runner.run(untraced, ["pgbench", "-i", "-q", "-s", 1], env=env)


def row(case, results, field):
    values = {name: [getattr(each, field) for each in taken] for name, taken in results.items()}
    return [TITLES[case], f"{spread(values['untraced']).median / 1e3:.2f} us",
            *(percents(relative(mine, values["untraced"])) for name, mine in values.items() if name != "untraced")]


def bars(cases):
    for case, results in cases.items():
        for field, word in (("wall", "by the clock"), ("cpu", "processor time")):
            added = relative(*([getattr(each, field) for each in results[name]] for name in ("stray", "untraced")))
            yield at_most(f"{TITLES[case]}, {word}, quartiles {percent(added.low)} and {percent(added.high)}", added.median, LIMITS[case], percent)


def run(context):
    used, rounds, cases = [*context.tools, without_heap(context.build)], context.pick(5, 15), {}
    env = context.cleanup.enter_context(postgres())
    prepare(context, env)
    for case, measure in measures(context, env).items():
        if context.wants(case):
            progress(f"sockets: {case}")
            cases[case] = in_turn({tool.name: lambda tool=tool, measure=measure: measure(tool) for tool in used}, rounds)
    header = ["loopback", "untraced", *(tool.name for tool in used[1:])]
    text = (f"Medians, with quartiles, of what a tool adds in {rounds} alternating runs. The other side is not traced. The start of program and tool "
            "is left out.\n\n"
            "By the clock:\n\n" + table(header, [row(case, results, "wall") for case, results in cases.items()]) +
            "\n\nProcessor time of the process:\n\n" + table(header, [row(case, results, "cpu") for case, results in cases.items()]))
    return Result(text, list(bars(cases)))
