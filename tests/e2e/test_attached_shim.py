# SPDX-License-Identifier: LGPL-2.1-or-later
"""Is what a process does while it is attached to counted exactly, and nothing else, and is it afterwards as it was?

The shim's side alone: the targets load it by a thread of their own and hand it a request, as `stray attach` does from outside.
"""
import pathlib
import subprocess

import pytest
from conftest import SOAK, TIMEOUT, compare, parse_expected


class Attached:
    """A finished target that attached to itself, and its traces in the order of attaching."""

    def __init__(self, stray, folder, done):
        self.stray, self.folder, self.stdout, self.stderr = stray, folder, done.stdout, done.stderr
        assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        self.files = sorted(folder.glob("attached-*.stray"), key=lambda path: int(path.name.split("-")[1].split(".")[0]))

    def report(self, which=0, *options):
        return self.stray.report(self.files[which], *options)

    def check(self, which=0):
        report = self.report(which)
        compare(report, parse_expected(self.stdout))
        return report


@pytest.fixture
def attached(stray, target):
    def run(*arguments, name="target_attached", env=None):
        folder = pathlib.Path(stray.new_folder())
        folder.mkdir()
        command = [target(name), stray.shim, folder, *arguments]
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=TIMEOUT * SOAK, env=env)
        return Attached(stray, folder, done)
    return run


def is_whole(report):
    assert report.trace["complete"] and report.trace["lost_events"] == 0, report.trace
    return True


def test_counts_what_happens_in_between(attached):
    done = attached("single")
    assert len(done.files) == 1 and not list(done.folder.glob("*.spool"))
    report = done.check()
    assert is_whole(report) and report.process()["end"] == "detached"


def test_fifty_times_amid_a_storm(attached):
    times = 50 * SOAK
    done = attached("storm", times)
    assert len(done.files) == times and not list(done.folder.glob("*.spool"))
    for which in range(times):
        report = done.check(which)
        assert is_whole(report) and report.process()["end"] == "detached"
