# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole way: a service with known leaks, 200 requests, and what the report says of them."""
import json
import os
import pathlib
import signal
import subprocess
import time
import uuid

import pytest

from conftest import PYTHON, SOURCES, TIMEOUT, bare, shell
from frames import plain_bytes

SERVICE = SOURCES / "service"


class Run:
    """The service, traced, driven and stopped by a signal."""

    def __init__(self, stray, postgres, redis, stop, options=()):
        self.canary = "canary-" + uuid.uuid4().hex
        self.signing_key = uuid.uuid4().hex
        port = shell("free_port")
        env = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url, "SIGNING_KEY": self.signing_key}
        command = [PYTHON, "-m", "uvicorn", "app:app", "--app-dir", SERVICE, "--host", "127.0.0.1", "--port", port, "--no-access-log"]
        log = stray.folder / f"service-{port}.log"
        with open(log, "wb") as output:
            service = stray.start(command, options=options, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            driven = bare([PYTHON, SERVICE / "drive.py", port, "--canary", self.canary], env=env)
            assert driven.returncode == 0, driven.stderr + log.read_text()
            time.sleep(3)  # what was left behind by the last request is silent for longer than is usual here, on a busy machine, too
            service.send_signal(stop)
            self.status = service.wait(TIMEOUT)
        finally:
            service.kill()
            service.wait()
        self.log = log.read_text()
        self.pid = service.pid
        self.trace = service.trace
        self.port = port
        self.expected = json.loads(driven.stdout)
        self.secrets = [postgres.password, redis.password, self.canary, self.signing_key, "canary-"]
        self.report = stray.report(self.trace)


@pytest.fixture(scope="module")
def stopped(stray, postgres, redis):
    return Run(stray, postgres, redis, signal.SIGTERM)


@pytest.fixture(scope="module")
def killed(stray, postgres, redis):
    return Run(stray, postgres, redis, signal.SIGKILL)


@pytest.fixture(scope="module")
def sampled(stray, postgres, redis):
    return Run(stray, postgres, redis, signal.SIGTERM, ["--sample", "512K"])


@pytest.fixture(params=["stopped", "killed", "sampled"])
def run(request):
    return request.getfixturevalue(request.param)


def test_the_short_report_says_the_same_of_all_but_blocks(stray, stopped):
    short = json.loads(stray.call("report", stopped.trace, "--format", "json").stdout)
    for kept, whole in zip(short["findings"], stopped.report.findings, strict=True):
        if whole["resource"] not in ("heap", "pyobject"):
            assert kept == whole


def test_ends_as_untraced(stopped, killed):
    assert stopped.status == 0, stopped.log
    assert "Traceback" not in stopped.log
    assert killed.status == -signal.SIGKILL
    assert stopped.report.process(stopped.pid)["end"] == "exit"
    assert killed.report.process(killed.pid)["end"] in ("signal", "killed")


def test_nothing_lost(run):
    assert run.report.trace["lost_events"] == 0
    assert run.report.trace["complete"] is True


@pytest.mark.parametrize("function", ["validate_jwt", "revoke_session", "health"])
def test_leaks_are_named_with_exact_counts(run, function):
    wanted = run.expected["functions"][function]
    for resource in ["connection", "pgconn"] if wanted["postgres"] else ["connection"]:
        finding = run.report.finding(function, resource, "leaked")
        assert finding["count"] == wanted["leaked"], finding
        assert finding["site"]["language"] == "python"
        assert pathlib.Path(finding["site"]["file"]).parent == SERVICE / "service"
        assert run.report.sum(function, resource)["opened"] == wanted["opened"]


def test_lines_are_those_of_the_connecting_calls(run):
    places = {"validate_jwt": ("auth.py", "psycopg2.connect("), "health": ("health.py", "client.ping()")}
    for function, (file, call) in places.items():
        finding = run.report.finding(function, "connection", "leaked")
        lines = (SERVICE / "service" / file).read_text().splitlines()
        assert pathlib.Path(finding["site"]["file"]).name == file
        assert call in lines[finding["site"]["line"] - 1]


def test_first_finding_is_the_worst(run):
    assert run.report.findings[0]["site"]["function"] == "validate_jwt", run.report.summary()
    assert run.report.findings[0]["verdict"] == "leaked"


def test_innocent_functions_are_not_accused(run):
    run.report.nothing_about("get_research_status")
    for function in ("start", "pooled", "remember_visit", "count_accounts", "count_sessions"):
        run.report.nothing_about(function, "open-at-exit")
    loud = {finding["site"]["function"] for finding in run.report.findings if finding["verdict"] in ("leaked", "creep", "finalizer-closed")
            and finding["resource"] in ("connection", "pgconn", "socket", "pgresult")}
    assert loud == {"validate_jwt", "revoke_session", "health"}, run.report.summary()


@pytest.mark.parametrize("function", ["get_research_status", "start", "remember_visit"])
def test_counts_of_the_innocent(run, function):
    wanted = run.expected["functions"][function]
    for resource in ["connection", "pgconn"] if wanted["postgres"] else ["connection"]:
        found = run.report.sum(function, resource)
        assert found["opened"] == wanted["opened"]
        if function == "get_research_status":
            assert (found["closed"], found["open"]) == (wanted["opened"], 0)


def test_open_when_killed(killed):
    for function, wanted in killed.expected["functions"].items():
        still = wanted["leaked"] or (0 if function == "get_research_status" else wanted["opened"])
        found = killed.report.sum(function, "connection")
        assert (found["opened"], found["open"]) == (wanted["opened"], still), function


def test_peers(run, postgres, redis):
    assert run.report.connections(postgres.peer)["opened"] == run.expected["postgres_connections"]
    assert run.report.connections(redis.peer)["opened"] == run.expected["redis_connections"]
    assert run.report.connections(f"127.0.0.1:{run.port}", "server")["opened"] == run.expected["http_connections"]


def test_killed_peers_still_open(killed, postgres, redis):
    leaked = {name: row["leaked"] for name, row in killed.expected["functions"].items()}
    assert killed.report.connections(postgres.peer)["open"] == leaked["validate_jwt"] + leaked["revoke_session"] + 5
    assert killed.report.connections(redis.peer)["open"] == leaked["health"] + 1


def test_no_secret_in_any_byte(run, stray):
    seen = 0
    for path in sorted(run.trace.rglob("*")):
        if not path.is_file():
            continue
        content = plain_bytes(path) if path.suffix == ".stray" else path.read_bytes()
        seen += path.suffix == ".stray"
        for secret in run.secrets:
            assert secret.encode() not in content, f"{secret!r} is in {path.name}"
            assert secret.encode("utf-16-le") not in content, f"{secret!r} is in {path.name}"
    assert seen >= 1
    for verb in (["dump", run.trace], ["report", run.trace, "-v", "--all"], ["report", run.trace, "--format", "json", "--all"]):
        done = stray.call(*verb)
        assert done.returncode == 0, done.stderr
        for secret in run.secrets:
            assert secret not in done.stdout, f"{secret!r} is in the output of {verb[0]}"


def test_files_are_private(run):
    assert os.stat(run.trace).st_mode & 0o777 == 0o700
    for path in run.trace.rglob("*"):
        assert os.stat(path).st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path.name


def test_text_report_names_the_leak_first(run, stray):
    done = stray.call("report", run.trace)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 110
    first = next(n for n, line in enumerate(lines) if line.lstrip().startswith("[1]"))
    assert "LEAKED" in lines[first]
    assert any("validate_jwt" in line and "auth.py" in line for line in lines[first:first + 8])
    assert not any("get_research_status" in line for line in lines)
    assert stray.call("report", run.trace).stdout == done.stdout



def test_command_line_is_kept_without_its_secrets(stray):
    code = "import sys; sys.exit(len(sys.argv) - 3)"
    done = stray.run([PYTHON, "-c", code, "postgresql://me:geheim-1@host/db", "host=h password=geheim-2"]).ok()
    report = done.report()
    words = " ".join(report.process()["command"])
    assert "host" in words and "geheim" not in words
    for path in done.files():
        assert b"geheim" not in plain_bytes(path)


SECRETS = {
    "postgres://u:geh?eim@h/db": "postgres://u:***@h/db",
    "postgres://u:geh/eim@h/db": "postgres://u:***@h/db",
    "postgres://u:geh eim@h/db": "postgres://u:***@h/db",
    "postgres://u:geh@eim@h/db": "postgres://u:***@h/db",
    "postgres://u:12345/geheim@h/db": "postgres://u:***@h/db",
    "postgres://u:12345#geheim@h/db": "postgres://u:***@h/db",
    "postgres://u:12345?ge heim@h/db": "postgres://u:***@h/db",
    "postgres://u:a@b/geheim@h/db": "postgres://u:***@h/db",
    "postgres://h:5432/db": "postgres://h:5432/db",
    "https://u:geheim@host/a@b": "https://u:***@host/a@b",
    "--secret-key=geheim": "--secret-key=***",
    "api_key=geheim": "api_key=***",
    "AWS_SECRET_ACCESS_KEY=geheim": "AWS_SECRET_ACCESS_KEY=***",
    "http://host:8080/geheim@2": "http://host:8080/geheim@2",
    "http://host:8080/?by=geheim@host": "http://host:8080/?by=geheim@host",
    r"host=h password='it\'s geheim' dbname=x": "host=h password=*** dbname=x",
    r"password=ge\ heim x=1": "password=*** x=1",
    "host=h password = geheim dbname=x": "host=h password = *** dbname=x",
    '{"password": "geheim", "user": 1}': '{"password": ***, "user": 1}',
}


def test_secrets_are_found_as_libraries_find_them(stray):
    options = ["--password", "geheim", "--password", "-geheim", "--api_key", "geheim", "--password", "--verbose"]
    report = stray.run(["true", *SECRETS, *options]).ok().report()
    without = ["--password", "***", "--password", "***", "--api_key", "***", "--password", "--verbose"]
    assert report.process()["command"][1:] == [*SECRETS.values(), *without]


def test_code_is_left_out_and_names_of_files_are_not(stray):
    words = ["-c", "conf.py", "app:app", "-c", "INSERT INTO t VALUES ('geheim')", "-c", "a/b_c-d", "-c", "geheim", "-e", "geheim"]
    report = stray.run(["true", *words]).ok().report()
    assert report.process()["command"][1:] == ["-c", "conf.py", "app:app", "-c", "<code>", "-c", "a/b_c-d", "-c", "<code>", "-e", "<code>"]


@pytest.mark.parametrize("words", [["x" * 5000] * 12, [f"word{n}" for n in range(5000)], ["", "", "x", ""]], ids=["long", "many", "empty"])
def test_a_long_command_line_is_whole(stray, words):
    assert stray.run(["true", *words]).ok().report().process()["command"] == ["true", *words]


def test_an_endless_command_line_is_cut(stray):
    """A URI that is cut before its @ does not show that it holds a password."""
    report = stray.run(["true", "x" * 65500, "postgresql://me:geheim@host/db", "x" * 100000]).ok().report()
    assert report.process()["command"] == ["true", "x" * 65500, "postgresql"]
    assert stray.run(["true", "x" * 130000]).ok().report().process()["command"][1] == "x" * (65535 - len("true") - 1)
