# SPDX-License-Identifier: LGPL-2.1-or-later
"""Services and jobs as people write them: is what piles up named at its line, and is nothing else accused?"""
import http.server
import signal
import socket
import socketserver
import subprocess
import threading

import pytest

from conftest import PYTHON, SOURCES, TIMEOUT, Result

C = SOURCES / "traced" / "truths.c"
MEMORY, HANDLES, HEALTHY = (SOURCES / "python" / f"truths_{name}.py" for name in ("memory", "handles", "healthy"))
LOUD = ("error", "warning")


def marked(source, mode):
    """The line that the source says leaks in this mode."""
    lines = source.read_text().splitlines()
    found = [n for n, line in enumerate(lines, 1) if f" leaks: {mode}" in line and not line.startswith(" * ")]
    assert len(found) == 1, f"{source.name}: {mode} is marked in lines {found}"
    return found[0]


def objects_with(source, mode):
    """The lines whose small objects pile up by the same mistake, as the source says."""
    return [n for n, line in enumerate(source.read_text().splitlines(), 1) if f" with it: {mode}" in line]


def is_at(finding, source, line):
    return finding["site"].get("line") == line and finding["site"].get("file", "").endswith(source.name)


def loud(report):
    return [each for each in report.findings if each["severity"] in LOUD]


def tell(findings):
    return [(each["verdict"], each["resource"], each["count"], each["site"].get("file"), each["site"].get("line"), each["message"])
            for each in findings]


def check_leak(report, source, mode, resource, verdict, count=None):
    """The marked line has the verdict, and no other line is accused."""
    line = marked(source, mode)
    there = [each for each in report.find(resource=resource) if is_at(each, source, line)]
    told = [each["verdict"] for each in there]
    assert told == [verdict], f"line {line}: {tell(there)}\nloud: {tell(loud(report))}\nall: {report.summary()}"
    assert count is None or there[0]["count"] == count, tell(there)
    objects = objects_with(source, mode)
    others = [each for each in loud(report) if not is_at(each, source, line) and each.get("caused_by") != there[0]["id"]
              and not (each["resource"] == "pyobject" and each["site"].get("line") in objects)]
    assert not others, f"accused besides line {line}: {tell(others)}"


def check_healthy(report):
    assert not loud(report), tell(loud(report))


# ---- those that leak ----

@pytest.mark.parametrize("mode, resource, verdict, count", [
    ("list", "heap", "leaked", None),
    ("thread_caches", "heap", "leaked", None),
    ("watches", "file", "leaked", 40),
    ("maps", "mmap", "leaked", 200),
    ("error_path", "heap", "leaked", 10000),
])
def test_c_leaks(stray, target, mode, resource, verdict, count):
    report = stray.run([target("target_truths"), mode]).ok().report()
    check_leak(report, C, mode, resource, verdict, count)


def test_small_texts_leak(stray):
    """No list of the interpreter's keeps texts for reuse: the line is as certain as that of larger blocks. Keys go with it."""
    report = stray.run([PYTHON, MEMORY, "texts"]).ok().report()
    first = report.findings[0]
    assert is_at(first, MEMORY, marked(MEMORY, "texts")) and first["resource"] == "pyobject", tell(report.findings)
    assert first["verdict"] in ("leaked", "creep") and first["severity"] in LOUD, tell(report.findings)
    assert not [each for each in loud(report)[1:] if each.get("caused_by") != first["id"]], tell(loud(report))


@pytest.mark.parametrize("end", [[], ["by_itself"]], ids=["stopped", "by_itself"])
@pytest.mark.parametrize("mode", ["labels", "cache", "tasks", "memo", "cycles", "closures", "thread_local", "errors"])
def test_memory_leaks(stray, mode, end):
    report = stray.run([PYTHON, MEMORY, mode, *end]).ok().report()
    check_leak(report, MEMORY, mode, "heap", "leaked")


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["summed", "full"])
@pytest.mark.parametrize("mode, marked_as", [("vector", "vector"), ("vector_alone", "vector"), ("copied", "copied")])
def test_c_vector_is_named(stray, target, mode, marked_as, options):
    report = stray.run([target("target_truths"), mode], options=options).ok().report()
    check_leak(report, C, marked_as, "heap", "creep", 1)


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["summed", "full"])
def test_python_list_is_named(stray, options):
    report = stray.run([PYTHON, MEMORY, "history"], options=options).ok().report()
    check_leak(report, MEMORY, "history", "heap", "creep", 1)


@pytest.fixture
def handles(stray, tmp_path):
    def run(mode, resource, verdict, count, env=None, end=()):
        result = stray.run([PYTHON, HANDLES, mode, tmp_path, *end], env={"TMPDIR": str(tmp_path), **(env or {})}).ok()
        check_leak(stray.report(*result.files(result.pid)), HANDLES, mode, resource, verdict, count)
    return run


@pytest.mark.parametrize("mode, resource, verdict, count", [
    ("exports", "tempfile", "leaked", 200),
    ("handlers", "file", "leaked", 100),
    ("executors", "thread", "leaked", 100),
    ("pools", "child", "leaked", 24),
    ("loops", "file", "leaked", 60),
    ("databases", "file", "leaked", 100),
    ("shards", "file", "leaked", 30),
    ("upstreams", "connection", "leaked", 30),
])
def test_handles_leak(handles, mode, resource, verdict, count):
    handles(mode, resource, verdict, count)


@pytest.mark.parametrize("mode, resource, count", [("executors", "thread", 100), ("pools", "child", 24)])
def test_handles_kept_to_the_end(handles, mode, resource, count):
    """The interpreter ends what was forgotten, before it says that it is finalizing."""
    handles(mode, resource, "leaked", count, end=["by_itself"])


def test_children_left_as_zombies(handles):
    """By itself: at a SIGTERM nobody looks which children have ended, and the last sample may be too old to know. Then the
    line is named just as well, but for children that "never ended"."""
    handles("children", "child", "unreaped", 40, end=["by_itself"])


def test_connections_of_tenants(handles, postgres):
    handles("tenants", "connection", "leaked", 40, postgres.env)


def test_what_connections_hold_follows_from_them(stray, postgres, tmp_path):
    report = stray.run([PYTHON, HANDLES, "cursors", tmp_path], env=postgres.env).ok().report()
    check_leak(report, HANDLES, "cursors", "connection", "leaked", 60)
    cause = report.finding("cursors", "connection", "leaked")["id"]
    for resource in ("pgconn", "pgresult", "heap"):
        held = report.find(resource=resource)
        assert held and all(each["caused_by"] == cause for each in held), tell(held)
    assert sum(each["bytes"] for each in report.find(resource="heap")) > 60 * 40 * 5000


def test_clients_of_sessions(handles, redis):
    handles("sessions", "connection", "leaked", 60, redis.env)


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_http_clients(handles, web):
    handles("fetches", "connection", "leaked", 15, {"HTTP_PORT": str(web)})


# ---- those that do not ----

@pytest.mark.parametrize("mode", ["arenas", "arena_kept", "lru", "tables", "batch", "vector_kept", "copied_kept", "finite_table"])
def test_c_healthy(stray, target, mode):
    check_healthy(stray.run([target("target_truths"), mode]).ok().report())


@pytest.mark.parametrize("mode", ["lru", "tables", "batch", "job", "ttl", "rotating", "tenant_logs", "temporary", "commands", "executors",
                                  "dispatcher", "workers", "late_imports", "sorted_lists", "weak_cache", "looks_up"])
def test_python_healthy(stray, tmp_path, mode):
    check_healthy(stray.run([PYTHON, HEALTHY, mode, tmp_path]).ok().report())


def test_pool_is_healthy(stray, tmp_path, postgres):
    check_healthy(stray.run([PYTHON, HEALTHY, "pool", tmp_path], env=postgres.env).ok().report())


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(100):
            self.request.sendall(data)


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


def test_elastic_pool_is_healthy(stray):
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        check_healthy(stray.run([PYTHON, HEALTHY, "elastic", server.server_address[1]]).ok().report())
        server.shutdown()


def test_daemon_is_healthy(stray, tmp_path):
    """The pipes to the test are the daemon's, too: once they are closed, it has ended."""
    report = stray.run([PYTHON, HEALTHY, "daemon", tmp_path]).ok().report()
    assert (tmp_path / "done").exists()
    check_healthy(report)


def ask_once(port):
    for n in range(100):
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as client:
            client.sendall(str(n).encode())
            assert client.recv(100) == str(n).encode()


def ask_on(port):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as client, client.makefile("rw") as lines:
            for n in range(10):
                lines.write(f"{n}\n")
                lines.flush()
                assert lines.readline() == f"{n}\n"


def serve(stray, mode, ask):
    process = stray.start([PYTHON, HEALTHY, mode, "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline())
        clients = [threading.Thread(target=ask, args=(port,)) for _ in range(6)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    return Result(stray, process.trace, subprocess.CompletedProcess(mode, process.returncode, stdout, stderr), process.pid).ok().report()


@pytest.mark.parametrize("mode, ask", [("prefork", ask_once), ("aio", ask_on)])
def test_server_is_healthy(stray, mode, ask):
    report = serve(stray, mode, ask)
    check_healthy(report)


# ---- tools that keep what they read until they end ----

def test_installed_tool_is_healthy(stray, tmp_path):
    """make keeps every word of its rules. That it is installed is what tells it from a service that leaks, and --mine says otherwise."""
    rules = [f"t{n}: d{n}\n\t@true\nd{n}:\n" for n in range(400)]
    (tmp_path / "Makefile").write_text("".join(rules) + "all: " + " ".join(f"t{n}" for n in range(400)) + "\n")
    result = stray.run(["/usr/bin/make", "-n", "-f", tmp_path / "Makefile", "all"]).ok()
    report = result.report()
    check_healthy(report)
    kept = report.find(resource="heap", verdict="open-at-exit")
    assert kept and all(each["severity"] == "note" and "until the program ended by itself" in each["message"] for each in kept), tell(kept)
    assert result.report("--mine", "/usr/bin/make").find(resource="heap", verdict="leaked")
