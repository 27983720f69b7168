# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sockets in use: how often, by whom, and what becomes of those whose peer has gone."""
import re

import pytest

from conftest import PYTHON, SOURCES


def stated_uses(result):
    return {int(fd): int(count) for fd, count in re.findall(r"^uses (\d+) (\d+)$", result.stdout, re.MULTILINE)}


def told_uses(stray, result, pid=None):
    """The last that the trace says of each descriptor."""
    told = {}
    for path in result.files(pid or result.pid):
        dump = stray.call("dump", path)
        assert dump.returncode == 0, dump.stderr
        for line in dump.stdout.splitlines():
            words = line.split()
            if words[2] == "used":
                told[int(words[5])] = int(words[6]) >> 40
    return told


@pytest.mark.parametrize("arguments", [("calls", 1), ("calls", 8), ("errors",), ("cancelled",)])
def test_every_use_is_counted(stray, target, arguments):
    result = stray.run([target("target_traffic"), *arguments]).ok()
    stated = stated_uses(result)
    assert stated and told_uses(stray, result) == stated


def test_children_have_books_of_their_own(stray, target):
    """Where the child's first call is a read, that one is counted; what a vfork child does is not its parent's doing."""
    result = stray.run([target("target_traffic"), "forked"]).ok()
    [(child, fd)] = re.findall(r"^child (\d+) (\d+)$", result.stdout, re.MULTILINE)
    assert told_uses(stray, result) == stated_uses(result)
    assert told_uses(stray, result, int(child)) == {int(fd): 1}


def test_descriptors_that_come_with_messages(stray, target, tmp_path):
    result = stray.run([target("target_traffic"), "messages", tmp_path / "socket"]).ok().check()
    assert told_uses(stray, result) == stated_uses(result)
    rows = {(row["peer"], row["kind"]) for row in result.report().json["connections"]}
    assert {(f"unix:{tmp_path}/socket", "client"), (f"unix:{tmp_path}/socket", "server")} <= rows


def test_python_receives_descriptors(stray):
    stray.run([PYTHON, SOURCES / "python" / "sharing.py", "messages"]).ok().check()


@pytest.fixture
def clients(stray, postgres, redis):
    def run(mode):
        return stray.run([PYTHON, SOURCES / "python" / "clients.py", mode], env={**postgres.env, **redis.env}).ok()
    return run


@pytest.mark.parametrize("mode", ["urllib", "httpx", "asyncio", "redis", "psycopg2", "tls", "datagrams", "unix"])
def test_python_clients_are_seen_at_work(stray, clients, mode):
    """Each connection that a client opens is used as often as the client says, or at least as often."""
    result = clients(mode)
    told = told_uses(stray, result)
    stated = stated_uses(result)
    assert stated
    for fd, count in stated.items():
        assert told.get(fd, 0) >= count, (told, stated)


# ---- peers that go away ----

@pytest.fixture
def peers(stray, target, tmp_path):
    def run(mode):
        result = stray.run([target("target_peers"), mode, tmp_path / "socket"]).ok().check()
        return result.report()
    return run


@pytest.mark.parametrize("family", ["unix", "inet"])
def test_server_that_never_closes(peers, family):
    finding = peers(f"{family}_server").finding("accepts", "connection", "leaked")
    assert (finding["count"], finding["evidence"]["close_wait"]) == (40, 40)


@pytest.mark.parametrize("family", ["unix", "inet"])
@pytest.mark.parametrize("mode", ["closing_server", "kept_server"])
def test_server_that_is_right(peers, family, mode):
    peers(f"{family}_{mode}").nothing_about("accepts")


@pytest.mark.parametrize("mode", ["unix_pool", "inet_pool", "inet_reset_pool"])
def test_pool_whose_server_went(peers, mode):
    report = peers(mode)
    finding = report.finding("asks", "connection", "close-wait")
    assert (finding["count"], finding["severity"]) == (12, "warning")
    assert finding["message"].startswith("the peer closed 12 connections")
    assert [row["close_wait"] for row in report.json["connections"] if row["kind"] == "client"] == [12]


@pytest.mark.parametrize("mode", ["inet_closing_pool", "unix_closing_pool", "unix_pool_in_use", "inet_pool_in_use"])
def test_pool_that_is_right(peers, mode):
    peers(mode).nothing_about("asks", "open-at-exit")


@pytest.mark.parametrize("family", ["unix", "inet"])
def test_shut_down_by_us_is_not_their_doing(peers, family):
    report = peers(f"{family}_shut")
    assert all(row["close_wait"] == 0 for row in report.json["connections"])


def test_odd_ways_to_a_connection(peers):
    report = peers("inet_odd")
    assert report.connections("127.0.0.1:9", "client") == {"opened": 3, "closed": 2, "open": 1, "closed_by_finalizer": 0}


# ---- shared over fork ----

def roles(result):
    found = {}
    for role, pid in re.findall(r"^pid (\w+) (\d+)$", result.stdout, re.MULTILINE):
        found.setdefault(role, []).append(int(pid))
    return found


@pytest.mark.parametrize("mode, severity, count, children", [
    ("one_child", "warning", 2, 1), ("children", "error", 2, 4), ("both", "error", 1, 1), ("grandchild", "warning", 1, 1)])
def test_shared_over_fork(stray, target, listener, mode, severity, count, children):
    result = stray.run([target("target_shared"), mode, listener]).ok()
    report = result.report()
    found = report.find("connects", "connection", "fork-shared")
    assert [(each["severity"], each["count"]) for each in found] == [(severity, count)], report.summary()
    who = roles(result)
    assert found[0]["pids"] == sorted(who["opener"] + who["child"])
    assert found[0]["evidence"]["used_by_children"] == children
    assert found[0]["peer"] == f"127.0.0.1:{listener}"
    assert found[0]["site"]["file"].endswith("shared.c")


def test_pgconn_shared_over_fork(stray, target, postgres):
    result = stray.run([target("target_shared"), "pgconn"], env=postgres.env).ok()
    report = result.report()
    who = roles(result)
    connection, = report.find("opens", "connection", "fork-shared")
    conn, = report.find("opens", "pgconn", "fork-shared")
    assert conn["caused_by"] == connection["id"]
    for finding in (connection, conn):
        assert (finding["severity"], finding["count"]) == ("error", 1)
        assert finding["pids"] == sorted(who["opener"] + who["child"])


HEALTHY = ["prefork", "daemonises", "inherits", "hands_on", "serves", "serves_and_keeps", "pair", "datagrams"]


@pytest.mark.parametrize("mode", HEALTHY)
def test_not_shared(stray, target, listener, mode):
    result = stray.run([target("target_shared"), mode, listener]).ok()
    report = result.report()
    assert len(report.processes) >= 2 and report.trace["complete"], report.processes
    assert not report.find(verdict="fork-shared"), report.summary()


@pytest.mark.parametrize("mode, severity", [("both", "error"), ("in_child_only", "warning")])
def test_python_shares_over_fork(stray, postgres, mode, severity):
    result = stray.run([PYTHON, SOURCES / "python" / "sharing.py", mode], env=postgres.env).ok()
    report = result.report()
    for resource in ("connection", "pgconn"):
        found = report.find("opens", resource, "fork-shared")
        assert [(each["severity"], each["count"]) for each in found] == [(severity, 1)], (resource, report.summary())
        assert result.pid in found[0]["pids"] and len(found[0]["pids"]) == 2


@pytest.mark.parametrize("mode", ["each_its_own", "by_queues"])
def test_python_does_not_share(stray, postgres, mode):
    report = stray.run([PYTHON, SOURCES / "python" / "sharing.py", mode], env=postgres.env).ok().report()
    assert len(report.processes) >= 4
    assert not report.find(verdict="fork-shared"), report.summary()
