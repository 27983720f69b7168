# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a start costs: of a program, of a forked child that allocates, of a child that executes a program; the spool on disk and in memory."""
import contextlib
import tempfile

import machine
import tools
from context import Result, progress
from measure import in_turn, spread
from tables import table

CASES = {
    "a program (true)": lambda births, times: None,
    "a forked child that allocates": lambda births, times: [births, times, "fork"],
    "a child that executes true": lambda births, times: [births, times, "exec", "/bin/true"],
}


def used_tools(build, memory):
    """The spool beside the trace, and in a folder of a memory file system."""
    return [tools.Tool("untraced"), tools.stray(build, "stray"), tools.stray(build, "stray --spool", "--spool", memory)]


def measure(context, tool, words, times):
    """Milliseconds of processor time for each."""
    births = context.program("births")
    if words is None:  # each start is one of the tool as well
        words = [births, times, "exec", "sh", "-c", 'rm -rf trace && exec "$@"', "sh", *tool.command("/bin/true")] if tool.prefix else [
            births, times, "exec", "sh", "-c", 'rm -rf trace && exec "$@"', "sh", "/bin/true"]
        tool = tools.Tool("births", leaves=tool.leaves)
    return float(context.runner.run(tool, words).output.split()[-1]) / 1e6


def run(context):
    times, rounds, rows = context.pick(20, 50), context.pick(5, 11), []
    with contextlib.ExitStack() as stack:
        memory = stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm"))
        used = used_tools(context.build, memory)
        for name, words in CASES.items():
            progress(f"starts: {name}")
            results = in_turn({tool.name: lambda tool=tool, words=words: measure(context, tool, words(context.program("births"), times), times)
                               for tool in used}, rounds)
            spreads = {tool: spread(values) for tool, values in results.items()}
            rows.append([name, *(f"{each.median:.2f} ({each.low:.2f} to {each.high:.2f})" for each in spreads.values())])
    header = ["", "untraced", f"spool on {machine.file_system(tempfile.gettempdir())}", f"spool on {machine.file_system('/dev/shm')}"]
    return Result(f"Milliseconds of processor time for each of {times}, medians of {rounds} alternating runs, with quartiles. "
                  f"A start of a program includes that of the shell which makes room for the trace, untraced as well.\n\n{table(header, rows)}")
