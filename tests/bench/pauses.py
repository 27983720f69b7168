# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a call of malloc or free takes when it is the one that empties a lane."""
import statistics

from context import Result
from tables import at_most, table


def percentiles(taken):
    return list(map(float, taken.output.split()))


def run(context):
    rounds = context.pick(3, 9)
    used = context.tools[:2]
    results = context.runner.in_turn(used, [context.program("pauses"), 1_000_000], rounds)
    medians = {name: [statistics.median(column) for column in zip(*map(percentiles, taken))] for name, taken in results.items()}
    text = ("Of the thousand slowest of a million calls, in microseconds of the thread's processor time; "
            f"medians of {rounds} alternating runs:\n\n" +
            table(["", "median", "p99", "longest"], [[name, *(f"{value:.1f}" for value in row)] for name, row in medians.items()]))
    return Result(text, [at_most("a call that empties a lane, p99", medians["stray"][1], 200, "{:.0f} us".format)])
