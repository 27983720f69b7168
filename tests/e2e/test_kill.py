# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 at any moment: whatever had returned before is in the trace."""
import os
import random
import signal
import subprocess
import time

import pytest

from conftest import SOAK, until

BATCH = 64


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["default", "full"])
@pytest.mark.parametrize("threads", [1, 4, 8])
@pytest.mark.parametrize("round", range(5 * SOAK))
def test_nothing_that_returned_is_lost(stray, target, threads, options, round):
    moment = random.Random(1000 * threads + round).uniform(0.0, 0.4)
    process = stray.start([target("target_acks"), threads], options=options, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        os.set_blocking(process.stdout.fileno(), True)
        said = process.stdout.readline()  # it runs
        killer = time.monotonic() + moment
        lines = [said]
        while time.monotonic() < killer:
            lines.append(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines(True)
    assert process.wait() == -signal.SIGKILL

    acknowledged = acknowledgements(lines, threads)
    report = stray.report(process.trace)
    assert report.process(process.pid)["end"] in ("signal", "killed")
    assert report.trace["lost_events"] == 0
    for thread, done in enumerate(acknowledged):
        kept = report.sum(f"kept_{thread}", "heap")
        young = report.sum(f"young_{thread}", "heap")
        sockets = report.sum(f"socket_{thread}", "socket")
        files = report.sum(f"file_{thread}", "file")
        # It may have gone on for less than a batch and a line beyond what it said.
        assert done <= kept["opened"] <= done + 2 * BATCH
        assert (kept["closed"], kept["bytes_open"]) == (0, 32 * kept["open"])
        assert done <= young["opened"] <= done + 2 * BATCH and young["open"] <= 1
        assert done // BATCH <= sockets["opened"] <= done // BATCH + 2
        assert done // BATCH <= files["opened"] <= done // BATCH + 2 and files["open"] <= 1


def acknowledgements(lines, threads):
    acknowledged = [0] * threads
    for line in lines:
        if line.endswith(b"\n"):
            thread, done = map(int, line.split())
            acknowledged[thread] = max(acknowledged[thread], done)
    assert sum(acknowledged) > 0
    return acknowledged


def end_amid_work(stray, target, how, after):
    """Returns whether the trace needs no spool."""
    threads = 8
    process = stray.start([target("target_acks"), threads, 0, how, after], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    lines = process.stdout.read().splitlines(True)
    assert process.wait() == 0
    acknowledged = acknowledgements(lines, threads)
    report = stray.report(process.trace)
    assert report.trace["lost_events"] == 0 and report.trace["complete"]
    assert [each["end"] for each in report.processes] == (["exec", "exit"] if how == "exec" else ["exit"])
    for thread, done in enumerate(acknowledged):
        kept, young = report.sum(f"kept_{thread}", "heap"), report.sum(f"young_{thread}", "heap")
        assert (done <= kept["opened"] <= done + 1, done <= young["opened"] <= done + 1) == (True, True), (done, kept, young)
        assert kept["closed"] == 0 and young["open"] <= 1
    return not list(process.trace.glob("*.spool"))


@pytest.mark.parametrize("how", ["_exit", "exit", "quick_exit", "exec", "exec-fails"])
@pytest.mark.parametrize("round", range(10 * SOAK))
def test_what_other_threads_do_while_one_ends_it(stray, target, how, round):
    """Whatever had returned, up to the very end, is in the trace, which is complete and needs no spool. But the end waits for others
    a fifth of a second and no longer: where a processor has so much else to do that one of them stands amid an event for all that
    time, the spool stays. That is no habit."""
    after = random.Random(round).randrange(1000, 60000)
    assert any(end_amid_work(stray, target, how, after) for _ in range(3))


def test_killed_before_anything(stray):
    """Too early to have recorded much: still a trace, or none (an empty file), but never an unreadable one."""
    for n in range(10):
        process = stray.start(["sleep", "10"])
        time.sleep(0.002 * n)
        process.kill()
        process.wait()
        if any(trace.stat().st_size > 0 for trace in process.trace.glob("*.stray")):
            report = stray.report(process.trace)
            assert report.process()["end"] in ("signal", "killed")


def test_empty_file_beside_a_trace(stray, target):
    """A process that was killed between making its file and writing the header does not hide the others of its folder."""
    folder = stray.run([target("target_heap")]).ok().trace
    alone = stray.report(folder).json
    (folder / "sleep.1.stray").touch()
    assert stray.report(folder).json == alone
    for trace in folder.glob("target_heap.*"):
        trace.unlink()
    done = stray.call("report", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"stray: {folder}: no traces (*.stray) in it but empty ones, of processes that had only begun\n"


def test_live_trace_can_be_read(stray, target):
    process = stray.start([target("target_acks"), 2, 1000], stdout=subprocess.DEVNULL)
    try:
        until(lambda: any(trace.stat().st_size > 0 for trace in process.trace.glob("*.stray")))
        counts = [0]

        def more():
            report = stray.report(process.trace)
            assert report.process(process.pid)["end"] == "running"
            counts.append(report.sum("kept_0", "heap")["opened"])
            return counts[-1] > counts[-2]

        for _ in range(3):
            until(more)
        assert counts == sorted(counts), counts
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("end", ["killed", "clean"])
def test_spool_elsewhere(stray, target, tmp_path, end):
    """A spool in a folder of the user's choice is found from the trace, and leaves nothing behind after a clean end."""
    spools = tmp_path / "spools"
    spools.mkdir()
    if end == "clean":
        result = stray.run(["sh", "-c", "exec true"], options=["--spool", spools])
        assert (result.status, list(spools.iterdir()), list(result.trace.glob("*.spool"))) == (0, [], [])
        return
    process = stray.start([target("target_acks"), 1], options=["--spool", spools], stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL)
    done = int(process.stdout.readline().split()[1])
    process.kill()
    process.wait()
    assert len(list(spools.iterdir())) == 1
    assert stray.report(process.trace).sum("kept_0", "heap")["opened"] >= done


DEATHS = {"kill": signal.SIGKILL, "segv": signal.SIGSEGV, "abort": signal.SIGABRT, "stack": signal.SIGSEGV, "memory": signal.SIGABRT,
          "memory-exit": 0}


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("how", DEATHS)
def test_counts_up_to_a_death(stray, target, how, threads):
    """Whatever the program dies of, and with nothing left of its memory: to the block."""
    result = stray.run([target("target_deaths"), how, threads])
    assert result.status == -DEATHS[how], result.stderr
    report = result.report()
    assert report.process(result.pid)["end"] in (["exit"] if how == "memory-exit" else ["signal", "killed"])
    assert report.trace["lost_events"] == 0 and report.trace["complete"]
    if how == "stack":  # it allocates on its way down
        rows = [line for line in result.stdout.splitlines(True) if '"young"' not in line]
        assert report.sum("young", "heap")["opened"] > 3000 * threads
        result.stdout = "".join(rows)
    result.check()
