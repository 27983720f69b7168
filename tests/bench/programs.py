# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cost of tracing whole programs: by the clock, in processor time of all processes, and in bytes on disk."""
import pathlib
import statistics
import subprocess
import tempfile

import tools
from context import BENCH, PYTHON, Result, progress
from inputs import history, large_c, preprocessed
from measure import fail, relative
from tables import Bar, at_most, percent, percents, table

SMALL = ("cc1", "git", "json")  # at most half a byte on disk an original event
NAMES = ("containers", "json", "perl", "sqlite3", "git", "cc1", "cc1plus")
LONG = ("cc1plus",)  # heaptrack needs minutes for it: left out of quick runs that do not ask for it

SQL = """
create table visit (id integer primary key, name text, at real, note text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < {0})
    insert into visit select i, 'name' || (i * 7919 % 5003), i * 1.5, hex(i * 104729) from n;
create index by_name on visit (name);
select count(*), max(total) from (select name, sum(at) total, group_concat(note) from visit group by name order by total);
update visit set note = note || 'x' where id % 3 = 0;
select name, count(*) from visit where note like '%fx' group by name order by 2 desc limit 3;
"""


def compiler(name):
    return subprocess.run(["gcc", f"-print-prog-name={name}"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def command_of(name, context, folder):
    """The words of a program's command, and what it reads made ready in `folder`."""
    scale = context.pick(1, 4)
    if name == "containers":
        return [context.program("containers"), 100_000 * scale]
    if name == "json":
        return [PYTHON, BENCH / "json_job.py", 50 * scale]
    if name == "perl":
        return ["perl", BENCH / "words.pl", 40_000 * scale]
    if name == "sqlite3":
        return ["sqlite3", ":memory:", " ".join(SQL.format(60_000 * scale).split())]
    if name == "git":
        return ["git", "-C", history(folder, 1000 * scale), "log", "--stat", "-p"]
    if name == "cc1":
        return [compiler("cc1"), "-quiet", "-O1", large_c(folder, 100 * scale), "-o", "/dev/null"]
    return [compiler("cc1plus"), "-quiet", "-O1", preprocessed(folder, BENCH / "containers.cpp"), "-o", "/dev/null"]


class Looked:
    """How many events a tool that is stray recorded or told in sum, by its first trace."""

    def __init__(self, build, name="stray"):
        self.build, self.name, self.events, self.with_estimates = build, name, 0, 0

    def __call__(self, tool, folder):
        if tool.name == self.name and not self.events:
            self.events, self.with_estimates = tools.original_events(self.build, folder)
            if not self.events:
                fail(f"{tool.name}: an empty trace")


def an_event_exactly(context, words):
    """Bytes on disk an event where none of Python's objects is left to a sample."""
    exact = tools.exact(context.build)
    look = Looked(context.build, exact.name)
    taken = context.runner.in_turn([exact], words, 1, look=look)
    return taken[exact.name][0].stored / look.events


class Measured:
    """One program under all tools."""

    def __init__(self, name, context, folder):
        look = Looked(context.build)
        rounds = context.pick(3, 7)
        words = command_of(name, context, folder)
        used = [*context.tools, *context.sampled]
        self.results = context.runner.in_turn(used, words, rounds, look=look)
        self.name, self.names, self.looked = name, [tool.name for tool in used[1:]], look
        self.exactly = an_event_exactly(context, words) if look.with_estimates > look.events else None

    def median(self, tool, field):
        return statistics.median(getattr(taken, field) for taken in self.results[tool])

    def added(self, tool, field):
        return relative(*([getattr(taken, field) for taken in self.results[name]] for name in (tool, "untraced")))

    def row(self, field):
        cells = (percents(self.added(name, field)) if name in self.results else "fails" for name in self.names)
        return [self.name, f"{self.median('untraced', field):.2f} s", *cells]

    def stored_row(self):
        sizes = (f"{self.median(name, 'stored') / 1024:.0f} KiB" if name in self.results else "fails" for name in self.names)
        return [self.name, self.looked.events, self.looked.with_estimates, *sizes,
                *(f"{self.an_event(events):.3f}" for events in (self.looked.events, self.looked.with_estimates))]

    def an_event(self, events):
        return self.median("stray", "stored") / events


def tables_of(measured):
    names = measured[0].names
    return "\n\n".join([
        "By the clock, until the command had ended:\n\n" + table(["program", "untraced", *names], [each.row("wall") for each in measured]),
        "Processor time of all processes:\n\n" + table(["program", "untraced", *names], [each.row("cpu") for each in measured]),
        "On disk. Events are acquires and releases, those told in sum included; all: with Python's small objects, which are sampled, by "
        "their estimate:\n\n" +
        table(["program", "events", "all", *names, "stray, bytes an event", "of all"], [each.stored_row() for each in measured])])


def bars_of(measured):
    for each in measured:
        if each.name in SMALL:
            yield at_most(f"{each.name}: bytes on disk an original event", each.an_event(each.looked.with_estimates), 0.5, "{:.3f}".format)
        if each.exactly is not None:
            yield at_most(f"{each.name}, --python-memory exact: bytes on disk an original event", each.exactly, 0.5, "{:.3f}".format)
    for each in [each for each in measured if "heaptrack" in each.results]:
        stray, rival = (each.added(name, "cpu").median for name in ("stray", "heaptrack"))
        yield Bar(f"{each.name}: processor time, beside heaptrack", f"{percent(stray)} and {percent(rival)}", "less", stray < rival)


def run(context):
    measured = []
    for name in NAMES:
        if context.wants(name) and not (context.quick and name in LONG and not context.cases):
            progress(f"programs: {name}")
            with tempfile.TemporaryDirectory() as folder:
                measured.append(Measured(name, context, pathlib.Path(folder)))
    how = f"Medians of {context.pick(3, 7)} alternating runs of what a tool adds, with quartiles, the start of the tool included."
    return Result(f"{how}\n\n{tables_of(measured)}", list(bars_of(measured)))
