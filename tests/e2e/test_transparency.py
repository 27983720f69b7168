# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service does not notice: what a program says, returns and can see is the same, traced or not."""
import json
import os
import re
import signal
import subprocess

import pytest

from conftest import PYTHON, ROOT, TIMEOUT, bare, without_ours


def same(stray, command, **options):
    traced, untraced = stray.run(command, **options), bare(command, **options)
    assert traced.status == untraced.returncode, traced.stderr
    assert traced.stdout == untraced.stdout
    stderr = traced.stderr if isinstance(traced.stderr, str) else traced.stderr.decode()
    other = untraced.stderr if isinstance(untraced.stderr, str) else untraced.stderr.decode()
    assert without_ours(stderr) == other
    assert traced.files(), "no trace was made"
    return traced


TEXT = "".join(f"{n * 7919 % 10007} line\n" for n in range(20000))


@pytest.mark.parametrize("command", [
    ["sh", "-c", "for n in 1 2 3; do echo $n | cat; done; (exit 3)"],
    ["bash", "-c", "x=$(printf %s abc); echo ${x^^}; exec 5>&1; echo five >&5; exit 42"],
    ["perl", "-e", 'my %h = map { $_ => $_ ** 2 } 1 .. 5000; print join(",", map { $h{$_} } sort { $a <=> $b } keys %h), "\\n"; exit 3'],
    [PYTHON, "-c", "import json, decimal, ssl, sqlite3; print(json.dumps({'a': [1] * 100})); raise SystemExit(4)"],
    [PYTHON, "-c", "import ctypes; print(ctypes.CDLL(None).getpid() > 0); [bytearray(10 ** 6) for _ in range(50)]"],
    ["git", "-C", ROOT, "log", "--stat", "-n", "3"],
    ["sqlite3", ":memory:", "WITH RECURSIVE c(n) AS (SELECT 1 UNION SELECT n + 1 FROM c WHERE n < 20000) SELECT sum(n), count(*) FROM c"],
    ["gcc", "-x", "c", "-O2", "-S", "-o", "-", ROOT / "analyzer" / "error.c", "-I", ROOT / "analyzer"],
    ["false"],
    ["ls", "/nonexistent"],
    ["find", ROOT / "include", "-type", "f"],
    ["tar", "-C", ROOT, "-cf", "-", "--sort=name", "--mtime=@0", "include"],
], ids=lambda command: os.path.basename(str(command[0])))
def test_programs(stray, command):
    same(stray, command)


@pytest.mark.parametrize("command", [["cat"], ["sort", "-n"], ["gzip", "-nc"], ["sed", "s/line/LINE/"], ["awk", "{ n += $1 } END { print n }"],
                                     [PYTHON, "-c", "import sys; sys.stdout.write(sys.stdin.read().upper())"]],
                         ids=lambda command: os.path.basename(command[0]))
def test_pipes(stray, command):
    same(stray, command, input=TEXT.encode(), text=False)


def test_what_a_program_can_notice(stray, target):
    command = [target("target_unnoticed")]
    traced, untraced = stray.run(command).ok(), bare(command)
    assert traced.stdout == untraced.stdout
    count = [int(re.search(r"descriptors: (\d+)", text)[1]) for text in (traced.stderr, untraced.stderr)]
    assert count[1] <= count[0] <= count[1] + 1
    # And the tracer went on, though every descriptor was closed under it.
    assert traced.report().sum("after_closing_all", "heap") == {"opened": 25, "closed": 0, "open": 25, "bytes_open": 275}


def test_record_locks_on_what_is_loaded_stay(stray, target):
    """A process loses its locks on a file when it closes any descriptor of it, so the tracer must not open one."""
    traced = same(stray, [target("target_locks")])
    assert re.findall(r": (\d) (\d)", traced.stdout) == [("1", "1")] * 5
    assert traced.report().sum("again_in_the_library", "heap")["opened"] == 1


def test_same_pid(stray):
    result = stray.run(["sh", "-c", "echo $$"]).ok()
    assert int(result.stdout) == result.pid


def test_no_threads_and_no_children(stray):
    code = "import os; print(len(os.listdir('/proc/self/task')), open(f'/proc/self/task/{os.getpid()}/children').read().split())"
    assert stray.run([PYTHON, "-c", code]).ok().stdout == "1 []\n"


def test_descriptors(stray):
    code = "import os; print(len(os.listdir('/proc/self/fd')))"
    traced, untraced = stray.run([PYTHON, "-c", code]).ok(), bare([PYTHON, "-c", code])
    assert int(untraced.stdout) <= int(traced.stdout) <= int(untraced.stdout) + 1


def test_descriptor_numbers_are_the_same(stray):
    code = "import os; print([os.open('/dev/null', os.O_RDONLY) for _ in range(20)])"
    same(stray, [PYTHON, "-c", code])


@pytest.mark.parametrize("status", [0, 1, 3, 126, 127, 255])
def test_exit_statuses(stray, status):
    assert stray.run(["sh", "-c", f"exit {status}"]).status == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGKILL, signal.SIGSEGV],
                         ids=lambda number: number.name)
def test_deaths_by_signal(stray, number):
    assert stray.run(["sh", "-c", f"ulimit -c 0; kill -{int(number)} $$"]).status == -number


def test_signals_reach_their_handlers(stray):
    code = ("import os, signal, sys, time\n"
            "got = []\n"
            "for s in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT): signal.signal(s, lambda n, f: got.append(n))\n"
            "print('ready', flush=True)\n"
            "while len(got) < 3: time.sleep(0.01)\n"
            "sys.exit(sorted(got) != [2, 10, 15])\n")
    process = stray.start([PYTHON, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
        assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()
        process.wait()


def test_signal_masks_and_dispositions_are_inherited(stray):
    command = ["sh", "-c", "trap '' HUP PIPE; grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"]
    same(stray, command)


def test_environment(stray):
    """The program sees its own environment; what tracing needs is added, nothing is changed or lost."""
    env = {"WITH_NEWLINE": "a\nb", "EMPTY": "", "UMLAUT": "ä"}
    code = "import os, json; print(json.dumps(dict(os.environ)))"
    traced, untraced = stray.run([PYTHON, "-c", code], env=env).ok(), bare([PYTHON, "-c", code], env=env)
    seen, own = json.loads(traced.stdout), json.loads(untraced.stdout)
    assert {name: value for name, value in seen.items() if name not in own and name != "LD_PRELOAD" and not name.startswith("STRAY_")} == {}
    assert {name: seen.get(name) for name in own} == own


def test_an_existing_preload_is_kept(stray):
    libm = next(line.split()[-1] for line in open("/proc/self/maps") if "/libm.so" in line)
    code = "import os; print(os.environ['LD_PRELOAD'])"
    result = stray.run([PYTHON, "-c", code], env={"LD_PRELOAD": libm}).ok()
    assert libm in re.split("[: ]", result.stdout.strip())
    assert result.files()


def test_limits_and_working_folder(stray, tmp_path):
    same(stray, ["sh", "-c", "ulimit -a; pwd; umask"], cwd=tmp_path)


def test_preload_alone(stray, target, tmp_path):
    """Without `stray run`: the environment is enough."""
    trace = tmp_path / "trace"
    command = [target("target_heap")]
    done = bare(command, env={"LD_PRELOAD": str(stray.shim), "STRAY_OUTPUT": str(trace)})
    assert done.returncode == 0 and done.stdout.count("\n") == bare(command).stdout.count("\n")
    assert without_ours(done.stderr) == ""
    assert stray.report(trace).sum("by_malloc", "heap")["opened"] == 20


def test_preload_with_an_unusable_folder_runs_untraced(stray, tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    done = bare(["sh", "-c", "echo fine; exit 5"], env={"LD_PRELOAD": str(stray.shim), "STRAY_OUTPUT": str(file / "trace")})
    assert (done.returncode, done.stdout) == (5, "fine\n")
    assert without_ours(done.stderr) == ""
    assert file.read_text() == "in the way"


def test_closed_standard_descriptors(stray):
    """A program started without 0, 1 and 2 must not find the tracer's file there."""
    trace, out = stray.new_folder(), stray.folder / "closed-out"
    script = 'exec "$@" 0<&- 1>&- 2>&-'
    code = f"import os\nfds = sorted(int(n) for n in os.listdir('/proc/self/fd'))\nopen({str(out)!r}, 'w').write(repr([f for f in fds if f < 3]))"
    subprocess.run(["sh", "-c", script, "sh", *stray.command(trace, [PYTHON, "-c", code])], timeout=60)
    traced = out.read_text()
    subprocess.run(["sh", "-c", script, "sh", PYTHON, "-c", code], timeout=60)
    assert traced == out.read_text()


FILLS_DISK = """
import os, sys
filler = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
try:
    while True:
        os.write(filler, bytes(1 << 16))
except OSError:
    pass
kept = [bytes(600 + n % 1000) for n in range(400000)]
print("survived", len(kept))
"""


def full_disk_is_survived(stray, tmp_path, own_mounts):
    """The trace's file system runs full: the program does not notice, and the report says how much was lost."""
    mount, keep = tmp_path / "small", tmp_path / "keep"
    mount.mkdir()
    keep.mkdir()
    # A file system of its own, in a namespace that goes away with the command; what was recorded is copied out.
    script = """mount -t tmpfs -o size=64m tmpfs "$1" || exit 99; keep=$2; trace=$1/trace; shift 2
                "$@"; status=$?; cp "$trace"/* "$keep"; exit $status"""
    done = bare([*own_mounts, "sh", "-c", script, "sh", mount, keep,
                 stray.path, "run", "-o", mount / "trace", "--full", "--", PYTHON, "-c", FILLS_DISK, mount / "filler"])
    assert (done.returncode, done.stdout) == (0, "survived 400000\n"), done.stderr
    report = stray.report(keep)
    assert report.trace["lost_events"] > 0
    assert report.trace["complete"] is False


# Where neither way to mount is allowed (plain containers), test_hostile.py's test_no_room_for_the_trace stands alone.
for own_mounts in (["unshare", "--user", "--map-root-user", "--mount"], ["unshare", "--mount"]):
    if bare([*own_mounts, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).returncode == 0:
        def test_full_disk_is_survived(stray, tmp_path, own_mounts=own_mounts):
            full_disk_is_survived(stray, tmp_path, own_mounts)
        break
