# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes: how they end, their children, and what they become."""
import os
import signal
import struct
import subprocess

import pytest

from conftest import PYTHON, SOAK, SOURCES, TIMEOUT, bare, compare, parse_expected, until

SIGNALS = {"abort": signal.SIGABRT, "segv": signal.SIGSEGV, "term": signal.SIGTERM, "kill": signal.SIGKILL}


@pytest.mark.parametrize("how", ["return", "exit", "_exit", "_Exit", "quick_exit", "thread_exit", "pthread_exit"])
def test_exits(stray, target, how):
    result = stray.run([target("target_process"), "ends", how]).check()
    status = 0 if how == "pthread_exit" else 7
    assert result.status == status
    process = result.report().process(result.pid)
    assert process["end"] == "exit"
    assert process.get("exit_status") == status


@pytest.mark.parametrize("given, status", [(-1, 255), (256, 0), (300, 44)])
@pytest.mark.parametrize("how", ["exit", "_exit"])
def test_exit_status_is_what_a_parent_is_told(stray, how, given, status):
    code = f"import os, sys; (sys.exit if {how!r} == 'exit' else os._exit)({given})"
    result = stray.run([PYTHON, "-c", code])
    assert result.status == status
    process = result.report().process(result.pid)
    assert (process["end"], process["exit_status"]) == ("exit", status)


@pytest.mark.parametrize("how", sorted(SIGNALS))
def test_deaths(stray, target, how):
    result = stray.run([target("target_process"), "ends", how]).check()
    assert result.status == -SIGNALS[how]
    process = result.report().process(result.pid)
    assert (process["end"], process["exit_status"]) == ("signal", 128 + SIGNALS[how])


def linked(report, root, count):
    """All processes but the root have a parent among the others."""
    pids = [process["pid"] for process in report.processes]
    assert len(pids) == count, report.processes
    for process in report.processes:
        assert process["pid"] == root or process["parent_pid"] in pids, process


def test_children_in_this_memory(stray, target):
    """Their descriptors are their own, though nothing in memory tells them from their parent."""
    stray.run([target("target_borrowed")]).ok().check()


def test_forks(stray, target):
    result = stray.run([target("target_process"), "forks"]).ok().check()
    report = result.report()
    linked(report, result.pid, 4)
    assert all(process["end"] == "exit" for process in report.processes)
    assert all(process["parent_pid"] == result.pid for process in report.processes if process["pid"] != result.pid)
    # The whole tree: each block and each socket in one process's books only.
    assert report.sum("keeps", "heap") == {"opened": 10, "closed": 1, "open": 9, "bytes_open": 900}
    assert report.sum("opens", "socket")["opened"] == 4


def test_forks_of_forks_while_threads_allocate(stray, target):
    result = stray.run([target("target_process"), "forks_deep"]).ok().check()
    linked(result.report(), result.pid, 41)


def test_vfork_children_close_nothing_of_their_parent(stray, target):
    result = stray.run([target("target_process"), "vforks"]).ok()
    compare(stray.report(*result.files(result.pid)), parse_expected(result.stdout))


def test_spawned_children(stray, target):
    result = stray.run([target("target_process"), "spawns"]).ok()
    compare(stray.report(*result.files(result.pid)), parse_expected(result.stdout))
    report = result.report()
    names = sorted(process["exe"].rsplit("/", 1)[-1] for process in report.processes)
    assert names.count("true") >= 2, names
    assert all(process["end"] in ("exit", "exec") for process in report.processes)


KEPT = [(how, "kept") for how in ("execv", "execve", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve")]
EMPTIED = [(how, "emptied") for how in ("execve", "execvpe", "execle", "fexecve")]


@pytest.mark.parametrize("how, environment", KEPT + EMPTIED)
def test_becomes_another(stray, target, how, environment):
    env = {"EMPTY_ENVIRONMENT": "1"} if environment == "emptied" else {}
    result = stray.run([target("target_process"), "becomes", how], env=env).ok()
    report = result.report()
    compare(report, parse_expected(result.stdout))
    assert [process["pid"] for process in report.processes] == [result.pid] * 2, report.processes
    assert [process["end"] for process in report.processes] == ["exec", "exit"]
    first, second = (process["resources"] for process in report.processes)
    assert first["socket"] == {**first["socket"], "opened": 2, "closed": 1, "open": 1}
    assert second.get("socket", {}).get("opened", 0) == 0
    assert second["socket"]["inherited"] == 1


def test_python_children(stray):
    result = stray.run([PYTHON, SOURCES / "python" / "children.py"]).ok()
    assert result.stdout == "spawned\n"
    report = result.report()
    statuses = [process.get("exit_status") for process in report.processes]
    assert 5 in statuses and 3 in statuses and 4 in statuses, report.processes
    linked(report, result.pid, len(report.processes))


def test_follow_can_be_switched_off(stray, target):
    result = stray.run([target("target_process"), "forks"], options=["--no-follow"]).ok()
    report = result.report()
    assert [process["pid"] for process in report.processes] == [result.pid]
    rows = {key: row for key, row in parse_expected(result.stdout).items() if key[0] == result.pid}
    compare(report, rows)


@pytest.mark.parametrize("variable", ["STRAY_FOLLOW=0", "STRAY_FOLLOW=no", "STRAY_NO_FOLLOW=1"])
@pytest.mark.parametrize("child", ["true", "fork", "spawn", "exec"])
def test_follow_can_be_switched_off_by_preloading_alone(stray, tmp_path, variable, child):
    """No `stray run` says who the root is: children find out, however they were begun, and what the root becomes is not one."""
    code = {"true": "os.system('true'); os.popen('true').read()",
            "fork": "os.waitpid(os.fork() or os.execv('/bin/true', ['true']), 0)",
            "spawn": "import subprocess; subprocess.run(['sh', '-c', 'true; true']); os.waitpid(os.posix_spawn('/bin/true', ['true'], os.environ), 0)",
            "exec": "os.execv('/bin/sh', ['sh', '-c', '/bin/true; exit 0'])"}[child]
    name, value = variable.split("=")
    done = subprocess.run([PYTHON, "-c", "import os; " + code], timeout=TIMEOUT,
                          env={**os.environ, "LD_PRELOAD": str(stray.shim), "STRAY_OUTPUT": str(tmp_path / "t"), name: value})
    assert done.returncode == 0
    names = sorted(path.name.split(".")[0] for path in (tmp_path / "t").glob("*.stray"))
    assert names == (["python3", "sh"] if child == "exec" else ["python3"])


@pytest.mark.parametrize("call", ["execve", "execveat"])
def test_exec_by_number_is_an_exec(stray, tmp_path, call):
    """The hooks do not see it, yet what begins is the same process."""
    source, program = tmp_path / "becomes.c", tmp_path / "becomes"
    source.write_text("#include <fcntl.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
                      "int main(void) { char *argv[] = {\"true\", 0}; return (int)syscall("
                      + {"execve": "SYS_execve, \"/bin/true\", argv, environ);", "execveat": "SYS_execveat, AT_FDCWD, \"/bin/true\", argv, environ, 0);"}[call]
                      + " }\n")
    assert bare(["gcc", "-D_GNU_SOURCE", "-o", program, source]).returncode == 0
    result = stray.run([program]).ok()
    assert [(process["pid"], process["end"]) for process in result.report().processes] == [(result.pid, "exec"), (result.pid, "exit")]


class Header:
    """What the head of a trace says of its descent."""

    def __init__(self, path):
        fields = struct.unpack_from("<8s3II16s16sII", path.read_bytes())
        self.pid, self.id, self.parent, self.parent_pid, self.origin = fields[4:9]
        self.name = path.name.split(".")[0]

    def __repr__(self):
        return f"{self.name} {self.pid}: {self.id.hex()[:6]} from {self.parent.hex()[:6]}, origin {self.origin}"


START, FORK, EXEC = 0, 1, 2


def descent(result):
    """Each trace as the path of (name, origin) that leads to it from the first program's."""
    headers = {header.id: header for header in map(Header, result.files())}
    paths = []
    for header in headers.values():
        path = []
        while header.parent != bytes(16):
            path.insert(0, (header.name, header.origin))
            assert header.parent in headers, (header, headers)
            header = headers[header.parent]
        assert header.pid == result.pid and header.origin == START, headers
        paths.append(tuple(path))
    return sorted(paths)


LINEAGE = """
import os, subprocess, sys
os.system("/bin/true; :")
os.popen("/bin/echo; :").read()
pid = os.fork()
if pid == 0:
    os.system("/bin/true; :")
    os._exit(0)
os.waitpid(pid, 0)
subprocess.run(["/bin/true"])
"""


def test_lineage(stray):
    """Each program's parent is the very incarnation that began it, also where libc begins it on its own."""
    result = stray.run(["bash", "-c", "exec env python3 -c \"$0\"", LINEAGE]).ok()
    env = (("env", EXEC),)
    python = env + (("python3", EXEC),)
    shell = python + (("sh", START),)
    child = python + (("python3", FORK),)
    inner = child + (("sh", START),)
    assert descent(result) == sorted([
        (), env, python, shell, shell + (("true", START),), shell, shell + (("echo", START),),
        child, inner, inner + (("true", START),), python + (("true", START),)])


OWN_ENVIRONMENT = """
export A=1
/bin/true
echo "$(export A=2; /bin/true; echo $A)"
echo "$(export A=3; (export A=4; /bin/true; echo $A))"
"""


def test_environment_is_the_programs(stray):
    """A shell frees the entries of an environment of its own, in forked children, too."""
    result = stray.run(["bash", "-c", OWN_ENVIRONMENT]).ok()
    assert result.stdout.split() == ["2", "4"], result.stderr
    true = [path for path in descent(result) if path and path[-1] == ("true", EXEC)]
    assert sorted(map(len, true)) == [2, 3, 4], descent(result)


def test_shells_free_their_environment(stray):
    """A shell copies its environment and frees it in its children: it must find there what it has put there."""
    result = stray.run(["bash", "-c", "(/bin/echo one); echo $(/bin/echo two); /bin/echo three | cat; (/bin/echo four)"]).ok()
    assert (result.stdout, result.stderr) == ("one\ntwo\nthree\nfour\n", "")


DAEMON = """
import os, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.chdir("/")
os.umask(0)
os.closerange(0, 65536)
null = os.open("/dev/null", os.O_RDWR)
os.dup2(null, 1)
os.dup2(null, 2)
os.system("/bin/true; :")
open(sys.argv[1], "w").close()
"""


def test_daemon(stray, tmp_path):
    result = stray.run([PYTHON, "-c", DAEMON, tmp_path / "done"]).ok()
    until((tmp_path / "done").exists)
    until(lambda: not list(result.trace.glob("*.spool")))
    first = (("python3", FORK),)
    second = first + (("python3", FORK),)
    shell = second + (("sh", START),)
    assert descent(result) == sorted([(), first, second, shell, shell + (("true", START),)])
    report = result.report()
    assert {process["end"] for process in report.processes} == {"exit"}


def test_daemon_of_libc(stray, target):
    result = stray.run([target("target_children"), "daemon"]).ok()
    until(lambda: len(result.files()) == 3 and not list(result.trace.glob("*.spool")))
    assert descent(result) == [(), (("target_children", FORK),), (("target_children", FORK),) * 2]
    assert {process["end"] for process in result.report().processes} == {"exit"}
    assert result.report().sum("by_fork", "child") == {"opened": 1, "closed": 1, "open": 0, "bytes_open": 0}


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["default", "full"])
def test_fork_in_a_signal_handler(stray, target, options):
    """The child returns into whatever its parent was interrupted in: the tracer, most often."""
    result = stray.run([target("target_fork_in_handler"), 100 * SOAK], options=options).ok()
    report = result.report()
    expected = parse_expected(result.stdout)
    total = expected.pop((result.pid, "in all", "child"))
    compare(report, expected)
    books = report.process(result.pid)["resources"]["child"]
    assert (books["opened"], books["closed"]) == (total["opened"], total["closed"])
    assert report.trace["complete"] and report.trace["lost_events"] == 0
    assert len(report.processes) == total["opened"] + 1
    assert {process["end"] for process in report.processes} == {"exit"}
