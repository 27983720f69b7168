# SPDX-License-Identifier: LGPL-2.1-or-later
"""stray pack: one file says elsewhere what the traces said here."""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tarfile

import pytest

from conftest import PYTHON, SOURCES, bare, until

READERS = [["report", "--all", "-v"], ["report", "--all", "--format", "json"], ["sites"], ["conns"], ["check", "--format", "json"], ["verify"], ["dump"],
           ["info"], ["export", "--to", "jsonl"]]


def pack(stray, out, *traces):
    done = stray.call("pack", *traces, "-o", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr
    return out


@pytest.fixture(scope="module")
def gone(stray, target, tmp_path_factory):
    """A trace of a program with debug information that is there no more; what was said of it while it was."""
    folder = tmp_path_factory.mktemp("gone")
    program = folder / "service"
    shutil.copy(target("target_heap"), program)
    result = stray.run([program]).ok()
    result.folder = folder
    result.before = result.report().json
    result.pack = pack(stray, folder / "service.pack", result.trace)
    program.unlink()
    return result


def without_path(report):
    report["trace"].pop("path")
    return report


def test_the_report_is_the_same_where_the_program_is_not(stray, gone):
    packed = stray.report(gone.pack).json
    assert without_path(packed) == without_path(dict(gone.before, trace=dict(gone.before["trace"])))
    functions = {site["site"]["function"] for site in packed["sites"]}
    assert "by_malloc" in functions and any(site["site"]["line"] for site in packed["sites"])
    assert "by_malloc" not in {site["site"]["function"] for site in stray.report(gone.trace).json["sites"]}, "the program is still there"


@pytest.fixture(scope="module")
def database(stray, postgres):
    return stray.run([PYTHON, SOURCES / "python" / "databases.py", "drops_all"], env=postgres.env).ok()


@pytest.mark.parametrize("verb", READERS, ids=" ".join)
def test_every_verb_takes_it(stray, database, tmp_path, verb):
    packed = pack(stray, tmp_path / "x.pack", database.trace)
    ours, theirs = stray.call(verb[0], database.trace, *verb[1:]), stray.call(verb[0], packed, *verb[1:])
    assert theirs.stderr == "" and theirs.returncode == ours.returncode
    plain = [done.stdout.replace(str(packed), "TRACE").replace(str(database.trace), "TRACE") for done in (ours, theirs)]
    assert plain[0] == plain[1]


def test_who_closed_is_in_the_pack(stray, database, tmp_path):
    """Destructors are known by the roles that functions of the interpreter and of extensions have."""
    packed = pack(stray, tmp_path / "x.pack", database.trace)
    with tarfile.open(packed) as tar:
        rows = [line.split("\t") for line in tar.extractfile("stray.symbols").read().decode().splitlines()]
    assert "1" in {row[3] for row in rows if row[0] == "A"}, "no function is known as a destructor"
    assert stray.report(packed).finding("drops", "connection", "finalizer-closed")["count"] == 30


def test_standard_input(stray, gone):
    done = subprocess.run([stray.path, "report", "-", "--format", "json", "--all"], input=gone.pack.read_bytes(), stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == 0
    assert without_path(json.loads(done.stdout)) == without_path(stray.report(gone.pack).json)


def test_one_trace_of_it(stray, gone):
    (name,) = [path.name for path in gone.files()]
    assert without_path(stray.report(gone.pack / name).json) == without_path(stray.report(gone.pack).json)
    done = stray.call("report", gone.pack / "nosuch.stray")
    assert (done.returncode, done.stdout) == (2, "") and "nosuch.stray" in done.stderr


def test_the_same_traces_give_the_same_bytes_also_packed_again(stray, gone, tmp_path):
    first = pack(stray, tmp_path / "a", gone.pack)
    assert first.read_bytes() == gone.pack.read_bytes()
    assert stray.call("diff", gone.pack, first).returncode == 0
    assert os.stat(first).st_mode & 0o777 == 0o600


@pytest.fixture(scope="module")
def killed(stray):
    """A process that was killed: its newest events are in the spool alone."""
    code = "import socket, sys\nkeep = [socket.socketpair() for n in range(50)]\nprint('ready', flush=True)\nsys.stdin.read()"
    process = stray.start([PYTHON, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process


def test_a_running_process(stray, target, tmp_path):
    """What it had done until then, though it goes on, ends, and its program is there no more."""
    program = tmp_path / "python3"
    shutil.copy(os.path.realpath(PYTHON), program)
    code = "import socket, sys\nkeep = []\nprint('ready', flush=True)\nfor line in sys.stdin:\n" \
           "  keep += [socket.socketpair() for n in range(int(line))]\n  print('done', flush=True)"
    process = stray.start([program, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def more(count):
        process.stdin.write(f"{count}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"

    def waits():
        """It is in its read() of what comes next, and does nothing else."""
        return pathlib.Path(f"/proc/{process.pid}/syscall").read_text().startswith("0 0x0 ")

    try:
        assert process.stdout.readline() == "ready\n"
        more(50)
        until(waits)
        live = stray.report(process.trace).json
        packed, while_busy = pack(stray, tmp_path / "x.pack", process.trace), []
        before = without_path(stray.report(packed).json)
        for key in ("sites", "connections"):  # time goes on, and memory is sampled
            assert before[key] == live[key]
        for n in range(5):
            process.stdin.write("30\n" * 2)
            process.stdin.flush()
            while_busy.append(pack(stray, tmp_path / f"busy-{n}.pack", process.trace))
            assert [process.stdout.readline() for _ in range(2)] == ["done\n"] * 2
        process.communicate()
    finally:
        process.kill()
        process.wait()
    program.unlink()
    assert without_path(stray.report(packed).json) == before
    (row,) = before["processes"]
    assert row["end"] == "running" and before["trace"]["complete"] and row["resources"]["socket"]["open"] == 100
    assert stray.report(process.trace).process()["end"] == "exit"
    for each in while_busy:
        assert stray.call("verify", each).returncode == 0
        report = stray.report(each)
        sockets = report.process()["resources"]["socket"]
        assert report.trace["complete"] and sockets["closed"] == 0 and sockets["opened"] == sockets["open"] == report.sum("<listcomp>", "socket")["open"]


def test_spools_come_along(stray, killed, tmp_path):
    packed = pack(stray, tmp_path / "x.pack", killed.trace)
    assert packed.stat().st_size < 4 << 20, "a spool is mostly holes"
    ours, theirs = stray.report(killed.trace), stray.report(packed)
    assert ours.process()["end"] == "killed" and ours.trace["complete"] is True
    assert without_path(ours.json) == without_path(theirs.json)
    assert "from the spool" in stray.call("verify", packed).stdout


def test_other_tools_unpack_it(stray, killed, tmp_path):
    packed = pack(stray, tmp_path / "x.pack", killed.trace)
    folder = tmp_path / "unpacked"
    folder.mkdir()
    for command in (["tar", "-xf", packed], ["bash", "-c", "zstd -q -d --rm *.zst"]):
        done = bare(command, cwd=folder)
        assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in folder.iterdir())
    (trace,) = killed.trace.glob("*.stray")
    assert names == sorted(["stray-pack", "stray.symbols", trace.name, trace.name + ".spool"])
    assert (folder / trace.name).read_bytes() == trace.read_bytes()
    assert without_path(stray.report(folder).json) == without_path(stray.report(packed).json)


def test_several_processes_and_names_that_are_taken(stray, gone, tmp_path):
    result = stray.run(["/bin/sh", "-c", f"{PYTHON} -c pass; {PYTHON} -c pass; true"]).ok()
    packed = pack(stray, tmp_path / "x.pack", result.trace, gone.pack, shutil.copy(gone.pack, tmp_path / "copy.pack"))
    with tarfile.open(packed) as tar:
        names = [name for name in tar.getnames() if name.endswith(".stray")]
    assert len(names) == len(set(names)) == len(result.files()) + 2
    assert len(stray.report(packed).processes) == len(names)


@pytest.mark.parametrize("seed", range(20))
def test_damage(stray, gone, tmp_path, seed):
    dice = random.Random(seed)
    damaged = bytearray(gone.pack.read_bytes())
    if seed % 2:
        del damaged[dice.randrange(len(damaged)):]
    else:
        for _ in range(1 + seed):
            damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    path = tmp_path / "damaged.pack"
    path.write_bytes(damaged)
    for verb in (["report"], ["verify"], ["export", "--to", "jsonl"]):
        done = stray.call(verb[0], path, *verb[1:])
        assert done.returncode in (0, 1, 2), done.stderr
        if done.returncode == 2:
            assert done.stderr.startswith("stray: ") and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("arguments, word", [([], "-o"), (["-o"], "-o"), (["-o", "/nosuch/x"], "/nosuch/x"), (["-o", "x", "--nosuch"], "--nosuch"),
                                             (["-o", "/dev/full"], "/dev/full")], ids=lambda value: " ".join(value) or "nothing")
def test_wrong_usage(stray, gone, arguments, word):
    done = stray.call("pack", gone.trace, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stray: ") and done.stderr.count("\n") == 1 and word in done.stderr


def test_a_pack_without_traces(stray, tmp_path):
    path = tmp_path / "empty.pack"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("stray-pack"))
    done = stray.call("report", path)
    assert (done.returncode, done.stdout) == (2, "") and "no traces" in done.stderr
