# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stacks that the shim's own unwinder takes inside real programs, against libunwind's.

Each program runs with tests/targets/unwind/check.c preloaded, which takes the stack both ways in every n-th call of
malloc and its like. It must behave as ever, and no stack may differ.
"""
import os
import pathlib
import shutil
import subprocess
import sysconfig

import pytest

from conftest import BUILD, PYTHON, ROOT, TARGETS, bare, shell, until

CHECK = BUILD / "tests" / "targets" / "unwind" / "unwind_check.so"
ODD = BUILD / "tests" / "targets" / "unwind" / "target_odd_stacks"
MORE = """
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
#include <stdexcept>
int main() {
    std::map<std::string, int> seen;
    std::regex pattern("a*(b|c)+x?");
    for (int i = 0; i < 2000; i++)
        try {
            seen[std::to_string(i)] = std::regex_match("aab" + std::to_string(i), pattern);
            if (i % 3 == 0) throw std::runtime_error(std::to_string(i) + std::string(40, 'x'));
        } catch (const std::exception &error) { seen[error.what()]++; }
    std::cout << seen.size() << std::endl;
}
"""


class Checked:
    """A place that every user can reach, with the library and its reports in it."""

    def __init__(self):
        self.folder = pathlib.Path(shell("make_folder"))
        self.library = self.folder / CHECK.name
        shutil.copy(CHECK, self.library)
        self.library.chmod(0o755)
        self.reports = self.folder / "reports"
        self.reports.mkdir()
        self.reports.chmod(0o777)

    def env(self, every):
        report = self.reports / "report"
        report.unlink(missing_ok=True)
        return {**os.environ, "LD_PRELOAD": str(self.library), "STRAY_CHECK_EVERY": str(every), "STRAY_CHECK_REPORT": str(report)}

    def counts(self, captures, slow=0.0):
        """Sums the report of all processes; nothing may differ, and at least so many stacks were taken."""
        text = (self.reports / "report").read_text()
        total, notes = {}, [line for line in text.splitlines() if line.startswith("#")]
        for line in text.splitlines():
            if not line.startswith("#"):
                words = line.split()
                for name, value in zip(words[::2], words[1::2]):
                    total[name] = total.get(name, 0) + int(value)
        told = f"{total}\n" + "\n".join(notes[:60])
        assert total["captures"] >= captures, told
        assert total["differ"] == 0 and total["cfa_differ"] == 0 and total["hash_differ"] == 0, told
        assert total["recall_differ"] == 0, told
        assert total["lost"] == 0 and total["further"] == 0, told
        assert total["slow"] <= slow * total["captures"], told
        return total

    def run(self, command, every=1, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        env = {**self.env(every), **options.pop("env", {})}
        return subprocess.run(list(map(str, command)), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=300, **options)


@pytest.fixture
def checked():
    assert CHECK.exists(), f"{CHECK.name}: not built"
    place = Checked()
    yield place
    shell('rm -rf "$1"', place.folder)


def expect_odd(checked, case, captures, slow=0.0):
    done = checked.run([ODD, case, TARGETS])
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout
    return checked.counts(captures, slow)


@pytest.mark.parametrize("case", ["alloca", "aligned", "large", "deep", "jump", "exceptions", "callbacks", "timers", "threads"])
def test_plain_code(checked, case):
    expect_odd(checked, case, 600)


@pytest.mark.parametrize("case", ["coroutines", "generated"])
def test_stacks_of_the_programs_own(checked, case):
    expect_odd(checked, case, 600)


def test_signals(checked):
    expect_odd(checked, "signals", 600, slow=0.3)  # those on a stack of their own


def test_wild_code(checked):
    expect_odd(checked, "undescribed", 600, slow=0.6)
    expect_odd(checked, "lying", 600, slow=0.6)


def test_objects_that_go(checked):
    total = expect_odd(checked, "unloading", 10000)
    assert total["unknown"] > 0, total


def test_python(checked):
    suite = ["gc", "generators", "weakref", "thread", "fork1", "socketserver", "ctypes", "json", "sqlite3"]
    found = [name for name in suite if (pathlib.Path(sysconfig.get_paths()["stdlib"]) / "test" / f"test_{name}.py").exists()
             or (pathlib.Path(sysconfig.get_paths()["stdlib"]) / "test" / f"test_{name}").exists()]
    script = "import json, decimal, re, sqlite3, ctypes, threading, asyncio\n" \
             "libc = ctypes.CDLL(None)\n" \
             "compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda a, b: len(str([a, b])) % 3 - 1)\n" \
             "numbers = (ctypes.c_int * 200)(*range(200))\n" \
             "libc.qsort(numbers, 200, 4, compare)\n" \
             "threads = [threading.Thread(target=lambda: json.dumps([str(i) for i in range(2000)])) for _ in range(4)]\n" \
             "[thread.start() for thread in threads]\n" \
             "[thread.join() for thread in threads]\n" \
             "async def many(): await asyncio.gather(*[asyncio.sleep(0) for _ in range(500)])\n" \
             "asyncio.run(many())\n" \
             "print('done')\n"
    done = checked.run([PYTHON, "-c", script], every=3, env={"PYTHONMALLOC": "malloc"})
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout
    checked.counts(50000)
    if found:
        done = checked.run([PYTHON, "-m", "unittest", *[f"test.test_{name}" for name in found]], every=13,
                           env={"PYTHONMALLOC": "malloc"}, cwd=checked.folder)
        assert done.returncode == 0, done.stdout[-4000:]
        checked.counts(100000)


def test_git_and_perl(checked):
    source, env = checked.folder / "source", checked.env(2)
    shutil.copytree(ROOT / "preload", source)
    script = "git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm one && git gc -q && git log -p --stat | tail -n 1"
    done = subprocess.run(["sh", "-c", script], cwd=source, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout
    checked.counts(10000)
    script = "for my $i (1 .. 3000) { eval { die {n => $i} if $i % 3; $h{\"k$i\"} = join ',', sort { $a <=> $b } map { $_ * 7 % 11 } 1 .. 9 };" \
             "$i =~ /(\\d)(\\d)?/ and $h{$1} .= sprintf '%s-%d', 'x' x 30, $i } print scalar(keys %h), \"\\n\""
    done = checked.run(["perl", "-e", script])
    assert (done.returncode, done.stdout) == (0, "1009\n"), done.stdout
    checked.counts(10000)


def test_compilers_and_exceptions(checked):
    (checked.folder / "more.cpp").write_text(MORE)
    done = checked.run(["g++", "-O1", "-std=c++17", "-o", checked.folder / "more", checked.folder / "more.cpp"], every=20)
    assert done.returncode == 0, done.stdout
    checked.counts(20000)
    done = checked.run([checked.folder / "more"])
    assert (done.returncode, done.stdout) == (0, "2667\n"), done.stdout
    checked.counts(10000)


def test_redis(checked):
    path = checked.folder / "redis.sock"
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no"],
                              env=checked.env(3), cwd=checked.folder, stdout=subprocess.DEVNULL)
    try:
        until(lambda: bare(["redis-cli", "-s", path, "ping"]).returncode == 0, "that the server answers")
        subprocess.run(["redis-benchmark", "-s", path, "-n", "3000", "-q", "-d", "700"], check=True, stdout=subprocess.DEVNULL,
                       timeout=200)
        subprocess.run(["redis-cli", "-s", path, "eval", "local t = {} for i = 1, 5000 do t[i] = tostring(i) end return #t", "0"],
                       check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["redis-cli", "-s", path, "shutdown", "nosave"], check=False)
        assert server.wait(60) == 0
    finally:
        server.kill()
    checked.counts(10000)


def test_postgres(checked):
    env = checked.env(40)
    settings = " ".join(f"{name}='{env[name]}'" for name in ("LD_PRELOAD", "STRAY_CHECK_EVERY", "STRAY_CHECK_REPORT"))
    script = f"""
        programs=$(postgres_programs) && mkdir -m 700 "$1/pg" || exit 1
        if [ "$(id -u)" = 0 ]; then chown postgres: "$1/pg" "$1"; fi
        cd "$1" && port=$(free_port) || exit 1
        as_database_user env {settings} "$programs/initdb" -D "$1/pg/data" -U stray -A trust --no-locale -E UTF8 --no-sync || exit 1
        as_database_user env {settings} "$programs/pg_ctl" -D "$1/pg/data" -l "$1/pg/log" -w start -o \\
            "-c listen_addresses= -c port=$port -c unix_socket_directories=$1/pg -c fsync=off -c shared_buffers=16MB" || exit 1
        as_database_user psql -qAt -h "$1/pg" -p "$port" -U stray postgres -c \\
            "create table t as select n, repeat(md5(n::text), 5) s from generate_series(1, 20000) n; create index on t (s);
             select count(*), max(a.s) from t a join t b using (n) group by n % 7; select jsonb_agg(to_jsonb(t)) is null from t;
             do \\$\\$ begin for i in 1..300 loop begin perform 1 / (i % 3); exception when others then null; end; end loop; end \\$\\$"
        status=$?
        as_database_user "$programs/pg_ctl" -D "$1/pg/data" -w -m fast stop || exit 1
        exit $status"""
    shell(script, checked.folder)
    checked.counts(10000)
