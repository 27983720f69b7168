# SPDX-License-Identifier: LGPL-2.1-or-later
"""Threads, forks and execs all at once: nothing hangs or crashes, and every count is exact."""

import pytest

from conftest import PYTHON, SOAK, compare, parse_expected

STORMS = 10  # at a time: 50 in all, 1000 with scripts/soak.sh 20


@pytest.mark.parametrize("round", range(5 * SOAK))
def test_storms(stray, target, round):
    result = stray.run([target("target_storm"), STORMS]).ok()
    report = result.report()
    compare(report, parse_expected(result.stdout))
    assert report.trace["lost_events"] == 0 and report.trace["complete"]
    ends = [process["end"] for process in report.processes]
    forked, spawned = 2 * 3 * STORMS, 2 * 2 * STORMS
    assert len(ends) == 1 + forked + spawned + forked // 3, len(ends)
    assert ends.count("exec") == forked // 3 and ends.count("exit") == len(ends) - forked // 3
    assert report.find(resource="child") == [] and report.find(resource="thread") == []


PREFORK = """
import os, signal, socket, sys, threading
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
workers, requests = 4, 200
def work():
    while True:
        client, _ = server.accept()
        if client.recv(100) == b"end":
            os._exit(0)
        thread = threading.Thread(target=client.sendall, args=(b"done",))
        thread.start()
        thread.join()
        client.close()
pids = []
for _ in range(workers):
    pid = os.fork()
    if pid == 0:
        work()
    pids.append(pid)
def ask(word):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(word)
        return client.recv(100)
for _ in range(requests):
    assert ask(b"work") == b"done"
for _ in pids:
    assert ask(b"end") == b""
assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
print(port)
"""


def test_prefork_server(stray):
    result = stray.run([PYTHON, "-c", PREFORK]).ok()
    report = result.report()
    assert report.sum("<module>", "child") == {"opened": 4, "closed": 4, "open": 0, "bytes_open": 0}
    assert report.sum("work", "thread") == {"opened": 200, "closed": 200, "open": 0, "bytes_open": 0}
    assert report.connections(f"127.0.0.1:{int(result.stdout)}", "server")["opened"] == 204
    assert [process["end"] for process in report.processes] == ["exit"] * 5
    assert not [finding for finding in report.findings if finding["resource"] in ("thread", "child")]
