# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers that people run, traced under load: they answer as untraced, stop cleanly, and are healthy in the report."""
import hashlib
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import TIMEOUT, bare, read_env, shell

CLIENTS = 8
SERVER_USER = "nobody" if os.getuid() == 0 else None


class Server:
    """A server in the foreground, traced or not, from its first answer to its end."""

    def __init__(self, stray, place, command, traced, user=()):
        command = [*user, *(stray.command(place / "trace", command) if traced else command)]
        self.log = place / "log"
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def wait_for(self, answers):
        """Until `answers()` does not fail."""
        deadline = time.monotonic() + TIMEOUT / 2
        while True:
            try:
                return answers()
            except (OSError, subprocess.CalledProcessError):
                assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def stop(self, number):
        self.process.send_signal(number)
        assert self.process.wait(TIMEOUT) == 0, self.log.read_text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def in_threads(work):
    """What each client got, in their order."""
    results = [None] * CLIENTS

    def run(n):
        results[n] = work(n)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in results
    return results


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


# ---- the servers: each starts, drives, stops, and returns what the clients got ----

def run_postgres(stray, place, traced):
    if not (place / "pg").exists():
        shell('postgres_start "$1" && postgres_stop "$1"', place)
    env = {**os.environ, **read_env(place / "pg.env")}
    command = [shell("postgres_programs") + "/postgres", "-D", place / "pg" / "data", "-c", "listen_addresses=127.0.0.1", "-c", f"port={env['PGPORT']}", "-c", f"unix_socket_directories={place / 'pg'}",
               "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "ssl=off"]
    user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] if os.getuid() == 0 else []

    def pg(*arguments):
        return subprocess.run(arguments, env=env, check=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True).stdout

    if traced:
        (place / "trace").mkdir()
        shell('[ "$(id -u)" != 0 ] || chown postgres: "$1"', place / "trace")
        stray = stray.copied_to(place / "tool")
    with Server(stray, place, command, traced, user) as server:
        server.wait_for(lambda: pg("psql", "-Atc", "SELECT 1"))
        pg("pgbench", "-i", "-s", "1", "-q")
        pg("pgbench", "-c", str(CLIENTS), "-j", "2", "-t", "150")
        answer = pg("psql", "-Atc", "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), "
                                    "(SELECT count(*) FROM pgbench_history)")
        server.stop(signal.SIGINT)
    assert answer == f"t|{150 * CLIENTS}\n"
    return answer


def run_nginx(stray, place, traced):
    port = int(shell("free_port"))
    (place / "page").write_bytes(bytes(range(256)) * 400)
    (place / "page").chmod(0o644)
    (place / "nginx.conf").write_text(f"""
        {f"user {SERVER_USER} nogroup;" if SERVER_USER else ""} worker_processes 2; daemon off; pid {place}/pid; error_log {place}/errors;
        events {{ worker_connections 256; }}
        http {{ access_log off; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;
            uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi; keepalive_requests 20;
            server {{ listen 127.0.0.1:{port}; root {place}; gzip on; gzip_types *; }} }}""")

    def client(n):
        seen = hashlib.sha256()
        for _ in range(50):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
            for path in ("/page", "/missing", "/page"):
                connection.request("GET", path, headers={"Accept-Encoding": "gzip" if n % 2 else "identity"})
                response = connection.getresponse()
                body = response.read()
                seen.update(b"%d" % response.status + (body if response.status == 200 else b""))
            connection.close()
        return seen.hexdigest()

    with Server(stray, place, ["nginx", "-p", place, "-e", place / "errors", "-c", place / "nginx.conf"], traced) as server:
        server.wait_for(lambda: connect(port).close())
        results = in_threads(client)
        server.stop(signal.SIGQUIT)
    return results


def run_redis(stray, place, traced):
    port = int(shell("free_port"))
    command = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", place, "--save", "", "--appendonly", "no"]

    def ask(*words):
        with connect(port) as connection:
            connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
            return connection.recv(4096)

    with Server(stray, place, command, traced) as server:
        server.wait_for(lambda: ask(b"PING"))
        done = bare(["redis-benchmark", "-h", "127.0.0.1", "-p", port, "-t", "set,get,lpush,lpop,hset", "-n", "4000", "-c", "20", "-q"])
        assert done.returncode == 0, done.stderr
        results = [ask(b"PING"), ask(b"DBSIZE"), ask(b"LLEN", b"mylist"), ask(b"STRLEN", b"key:__rand_int__")]
        server.stop(signal.SIGTERM)
    return results


def run_memcached(stray, place, traced):
    port = int(shell("free_port"))
    command = ["memcached", "-l", "127.0.0.1", "-p", port, "-t", "4", *(["-u", SERVER_USER] if SERVER_USER else [])]

    def client(n):
        seen = hashlib.sha256()
        with connect(port) as connection:
            stream = connection.makefile("rwb")
            for i in range(400):
                value = b"%d" % (n * i) * 50
                stream.write(b"set key-%d-%d 0 0 %d\r\n%s\r\nget key-%d-%d\r\n" % (n, i, len(value), value, n, i))
                stream.flush()
                seen.update(b"".join(stream.readline() for _ in range(4)))
        return seen.hexdigest()

    with Server(stray, place, command, traced) as server:
        server.wait_for(lambda: connect(port).close())
        results = in_threads(client)
        server.stop(signal.SIGTERM)
    return results


# PostgreSQL keeps relation files open, up to max_files_per_process, and closes the least used: a cache whose growth is over
# only after more than these seconds. Its checkpointer uses each once.
WRONGLY_LOUD = {run_postgres: {("leaked", "file", "BasicOpenFilePerm")}}  # its cache of open files, in processes of milliseconds


@pytest.mark.parametrize("run", [run_postgres, run_nginx, run_redis, run_memcached], ids=lambda run: run.__name__[4:])
def test_server_under_load(stray, run):
    place = pathlib.Path(shell("make_folder"))
    try:
        untraced, traced = run(stray, place, False), run(stray, place, True)
        assert traced == untraced
        trace = place / "trace"
        assert stray.call("verify", trace).returncode == 0
        if run not in (run_nginx, run_memcached) or not SERVER_USER:  # who has become another user cannot remove it
            assert not list(trace.glob("*.spool")), "a clean stop leaves no spool"
        report = stray.report(trace)
        assert report.trace["complete"] and report.trace["lost_events"] == 0
        assert {process["end"] for process in report.processes} == {"exit"}
        loud = {(finding["verdict"], finding["resource"], finding["site"]["function"]) for finding in report.findings
                if finding["severity"] in ("error", "warning")}
        assert loud <= WRONGLY_LOUD.get(run, set()), loud
    finally:
        shell('postgres_stop "$1"; rm -rf "$1"', place)
