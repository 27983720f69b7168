# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of the end-to-end tests: private servers, the tool, the targets.

Run by scripts/test.sh, or by hand:  /usr/bin/python3 -m pytest tests/e2e [-n 2 --dist loadfile]
STRAY_BUILD names another build folder. What is missing is an error, never a skip.
"""
import copy
import itertools
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("STRAY_BUILD") or ROOT / "build").resolve()
TARGETS = BUILD / "tests" / "targets" / "traced"
SOURCES = ROOT / "tests" / "targets"
PYTHON = "/usr/bin/python3"
TIMEOUT = 120
SOAK = int(os.environ.get("STRAY_SOAK") or 1)  # so many times as long, for what depends on luck: scripts/soak.sh
STALLS = os.environ.get("STRAY_STALLS")  # a file to write to how long threads were held: scripts/soak.sh attach

# What tests share besides this file asserts as they do.
pytest.register_assert_rewrite("attaching")

# The system's programs.
os.environ["PATH"] = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ["PATH"]
os.environ["LC_ALL"] = "C.UTF-8"
# Nor the signals that nohup and shells in the background ignore: targets die by some of them.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Tests have nothing of the tool's settings that the caller may have. Where pytest-xdist has workers run them, these read once
    more what is asked of the tests themselves, so whoever hands out the tests leaves it there."""
    if hasattr(config, "workerinput"):
        config.option.basetemp = None  # not below that of others: how deep a file lies tells whether it is a temporary one
    elif getattr(config.option, "numprocesses", None):
        os.environ["PYTHONHASHSEED"] = "0"  # of the workers: all must find the same tests, with the same names
        return
    for name in [name for name in os.environ if name.startswith("STRAY_") or name in ("LD_PRELOAD", "PYTHONHASHSEED")]:
        del os.environ[name]


def shell(script, *arguments):
    """Runs a line of bash that knows scripts/lib.sh."""
    done = subprocess.run(["bash", "-c", f'. "{ROOT}/scripts/lib.sh" || exit; {script}', "conftest", *map(str, arguments)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT)
    if done.returncode != 0:
        raise RuntimeError(f"{script}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def read_env(path):
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


@pytest.fixture(scope="session")
def servers_folder():
    folder = pathlib.Path(shell("make_folder"))
    yield folder
    shell('rm -rf "$1"', folder)


class Postgres:
    def __init__(self, env):
        self.env = env
        self.password = env["PGPASSWORD"]
        self.peer = f"{env['PGHOST']}:{env['PGPORT']}"
        self.url = f"postgresql://{env['PGUSER']}:{self.password}@{self.peer}/{env['PGDATABASE']}"


class Redis:
    def __init__(self, env):
        self.password = env["REDIS_PASSWORD"]
        self.peer = f"{env['REDIS_HOST']}:{env['REDIS_PORT']}"
        self.url = f"redis://:{self.password}@{self.peer}/0"
        self.env = {"REDIS_URL": self.url}


@pytest.fixture(scope="session")
def postgres(servers_folder):
    try:
        shell('postgres_start "$1"', servers_folder)
        yield Postgres(read_env(servers_folder / "pg.env"))
    finally:
        shell('postgres_stop "$1"', servers_folder)


@pytest.fixture(scope="session")
def redis(servers_folder):
    try:
        shell('redis_start "$1"', servers_folder)
        yield Redis(read_env(servers_folder / "redis.env"))
    finally:
        shell('redis_stop "$1"', servers_folder)


@pytest.fixture(scope="session")
def listener():
    """The port of a TCP server on loopback that accepts whoever comes and holds the connection."""
    server = socket.create_server(("127.0.0.1", 0), backlog=512)
    held = []

    def accept():
        while True:
            try:
                held.append(server.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


@pytest.fixture(scope="session")
def schema():
    with open(ROOT / "docs" / "report.schema.json") as file:
        content = json.load(file)
    validator = jsonschema.validators.validator_for(content)
    validator.check_schema(content)
    return validator(content)


class Report:
    """A report in JSON, and the questions that tests ask it."""

    def __init__(self, content):
        self.json = content
        self.trace = content["trace"]
        self.processes = content["processes"]
        self.findings = content["findings"]

    def __str__(self):
        return json.dumps(self.json, indent=1)[:20000]

    def process(self, pid=None):
        """The one process; with a pid, the one of that pid."""
        found = [process for process in self.processes if pid in (None, process["pid"])]
        assert len(found) == 1, f"{len(found)} processes of pid {pid}, not 1: {self.processes}"
        return found[0]

    def sum(self, function, resource):
        """What all sites of a function opened, closed and left open."""
        total = {"opened": 0, "closed": 0, "open": 0, "bytes_open": 0}
        for site in self.json["sites"]:
            if site["resource"] == resource and site["site"]["function"] == function:
                for key in total:
                    total[key] += site.get(key, 0)
        return total

    def find(self, function=None, resource=None, verdict=None):
        return [finding for finding in self.findings
                if function in (None, finding["site"]["function"])
                and resource in (None, finding["resource"])
                and (verdict is None or finding["verdict"] in ((verdict,) if isinstance(verdict, str) else verdict))]

    def finding(self, function, resource, verdict):
        """The one finding there must be, and no other verdict on the same function and resource, but for what is said of statements."""
        found = [each for each in self.find(function, resource) if "statement" not in each or each["verdict"] == verdict]
        assert [each["verdict"] for each in found] == [verdict], \
            f"{function}, {resource}: {[each['verdict'] for each in found]}, not {verdict}: {found}\nall: {self.summary()}"
        return found[0]

    def nothing_about(self, function, *allowed):
        found = [each for each in self.find(function) if each["verdict"] not in allowed]
        assert not found, f"{function} is accused: {found}"

    def summary(self):
        return [(each["verdict"], each["resource"], each["site"]["function"], each["count"]) for each in self.findings]

    def connections(self, peer, kind=None):
        """The rows of a peer, summed."""
        rows = [row for row in self.json["connections"] if row["peer"] == peer and (kind is None or row["kind"] == kind)]
        assert rows, f"no connections to {peer}: {self.json['connections']}"
        return {key: sum(row[key] for row in rows) for key in ("opened", "closed", "open", "closed_by_finalizer")}


def parse_expected(text):
    """The lines of JSON that a target printed: {(pid, function, resource): line}; a later line replaces an earlier one."""
    expected = {}
    for line in text.splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            expected[row["pid"], row["function"], row["resource"]] = row
    assert expected, f"the target stated nothing: {text!r}"
    return expected


def compare(report, expected):
    """Every line that a target stated against the sites of the report; all differences at once."""
    wrong = []
    for (_, function, resource), row in sorted(expected.items()):
        found = report.sum(function, resource)
        wanted = {"opened": row["opened"], "closed": row["closed"], "open": row["opened"] - row["closed"]}
        if resource in ("heap", "mmap") and row["bytes"] >= 0:
            wanted["bytes_open"] = row["bytes"]
        differ = {key: f"{found[key]}, not {value}" for key, value in wanted.items() if found[key] != value}
        if differ:
            wrong.append(f"{function}, {resource}: {differ}")
    assert not wrong, "\n".join(wrong)


def until(condition, what="that it comes to be"):
    """Waits for what does not say when it is there."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)


def readable(file, seconds):
    """Whether there is something to read before so many seconds are over. (select() takes no descriptor above 1023.)"""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Result:
    """A finished command and its trace."""

    def __init__(self, tool, trace, done, pid):
        self.tool, self.trace, self.pid = tool, trace, pid
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr

    def ok(self):
        assert self.status == 0, f"status {self.status}\n{self.stdout}\n{self.stderr}"
        return self

    def report(self, *options):
        return self.tool.report(self.trace, *options)

    def files(self, pid=None):
        """The traces, of one pid or of all."""
        return sorted(path for path in self.trace.glob("*.stray")
                      if pid is None or re.fullmatch(rf".*\.{pid}(\.\d+)?\.stray", path.name))

    def check(self, *options):
        """Compares what the target stated with the report, process by process where there are several."""
        expected = parse_expected(self.stdout)
        pids = {pid for pid, _, _ in expected}
        for pid in pids:
            files = self.files(pid)
            assert files, f"no trace of pid {pid}: {self.files()}"
            rows = {key: row for key, row in expected.items() if key[0] == pid}
            compare(self.tool.report(*files, *options), rows)
        return self


class Stray:
    """The tool under test."""

    path = BUILD / "stray"
    shim = BUILD / "libstray.so"

    def __init__(self, schema):
        self.schema = schema
        for product in (self.path, self.shim):
            assert product.exists(), f"{product.name}: not built"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stray-e2e-"))
        self.numbers = itertools.count(1)  # one for all copies of it: they share the folder

    def copied_to(self, folder):
        """The tool where another user may run it: the build may stand in a folder that is nobody else's."""
        folder.mkdir()
        there = copy.copy(self)
        there.path, there.shim = (pathlib.Path(shutil.copy(product, folder)) for product in (self.path, self.shim))
        for path in (folder, there.path, there.shim):
            path.chmod(0o755)  # whatever the umask is, and was when they were built
        return there

    def new_folder(self):
        return self.folder / f"trace-{next(self.numbers)}"

    def call(self, *arguments, **options):
        """The tool as a person calls it."""
        options.setdefault("timeout", TIMEOUT)
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.run([self.path, *map(str, arguments)], text=True, **options)

    def command(self, trace, command, options=()):
        return [str(self.path), "run", "-o", str(trace), *map(str, options), "--", *map(str, command)]

    def start(self, command, *, options=(), env=None, trace=None, **popen):
        """Starts a traced command; returns the Popen, whose `trace` is the folder."""
        trace = trace or self.new_folder()
        process = subprocess.Popen(self.command(trace, command, options), env={**os.environ, **(env or {})}, **popen)
        process.trace = trace
        return process

    def run(self, command, *, options=(), env=None, input=None, cwd=None, text=True, timeout=TIMEOUT):
        process = self.start(command, options=options, env=env, cwd=cwd, text=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             stdin=subprocess.DEVNULL if input is None else subprocess.PIPE)
        try:
            stdout, stderr = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            raise AssertionError(f"{command} hangs\n{stdout}\n{stderr}") from None
        return Result(self, process.trace, subprocess.CompletedProcess(command, process.returncode, stdout, stderr), process.pid)

    def report(self, *arguments):
        """The report of traces and options, in JSON with all sites, valid by the schema."""
        done = self.call("report", *arguments, "--format", "json", "--all")
        assert done.returncode == 0, f"report: status {done.returncode}: {done.stderr}"
        content = json.loads(done.stdout)
        errors = [f"{list(error.absolute_path)}: {error.message}" for error in self.schema.iter_errors(content)]
        assert not errors, f"the report breaks its schema: {errors[:10]}"
        return Report(content)


@pytest.fixture(scope="session")
def stray(schema):
    tool = Stray(schema)
    yield tool
    shell('rm -rf "$1"', tool.folder)


@pytest.fixture(scope="session")
def target():
    """The path of a built target."""
    def find(name):
        path = TARGETS / name
        assert path.exists(), f"{name}: not built"
        return path
    return find


def bare(command, *, env=None, input=None, cwd=None, text=True):
    """The same command without the tool."""
    return subprocess.run(list(map(str, command)), env={**os.environ, **(env or {})}, cwd=cwd, text=text, input=input,
                          stdin=subprocess.DEVNULL if input is None else None, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)


def without_ours(text):
    """Standard error less what the tool may say there."""
    return "".join(line for line in text.splitlines(True) if not line.startswith("stray: "))


if sys.executable != PYTHON and not os.path.samefile(sys.executable, PYTHON):
    raise SystemExit(f"run by {PYTHON}, not {sys.executable}: the modules of the system are needed")
