# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all measurements share: the build, how long they may take, the tools that work here."""
import contextlib
import dataclasses
import functools
import pathlib
import sys
import time

import tools
from measure import Runner

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ROOT / "tests" / "bench"
PYTHON = "/usr/bin/python3"


@dataclasses.dataclass
class Result:
    text: str
    bars: list = dataclasses.field(default_factory=list)


class Context:
    def __init__(self, build, quick, cases):
        self.build, self.quick, self.cases = build, quick, cases
        self.runner = Runner(build)
        self.cleanup = contextlib.ExitStack()  # servers that several measurements use

    def pick(self, quick, full):
        return quick if self.quick else full

    def wants(self, case):
        return not self.cases or case in self.cases

    def program(self, name):
        return self.build / "tests" / "bench" / f"bench_{name}"

    @functools.cached_property
    def tools(self):
        return tools.those_that_work(tools.of_build(self.build))

    def rivals_that(self, sample):
        """Other profilers that work here, and what they are counted from."""
        return tools.those_that_work(tools.sampling_rivals() if sample else tools.complete_rivals())

    @functools.cached_property
    def sampled(self):
        """As a list, which is empty where this build cannot sample."""
        return tools.those_that_work([tools.sampled(self.build)])


def progress(text):
    """What is being done, on standard error: tables come when they are whole."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
