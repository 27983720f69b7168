# SPDX-License-Identifier: LGPL-2.1-or-later
"""K of N, for every kind of client: exact counts, the right verdict, and nothing about the correct twins."""
import pytest

from conftest import PYTHON, SOURCES, bare, without_ours

LOUD = ("leaked", "creep", "finalizer-closed", "open-at-exit", "close-wait")


@pytest.fixture
def databases(stray, postgres):
    def run(mode):
        result = stray.run([PYTHON, SOURCES / "python" / "databases.py", mode], env=postgres.env).ok().check()
        return result.report()
    return run


@pytest.fixture
def sockets(stray, listener, redis):
    def run(mode):
        result = stray.run([PYTHON, SOURCES / "python" / "sockets.py", mode, listener], env=redis.env).ok().check()
        return result.report()
    return run


@pytest.mark.parametrize("mode, leaked", [("leaks_one_in_four", 10), ("leaks_all", 40)])
def test_psycopg2_leaks(databases, mode, leaked):
    report = databases(mode)
    for resource in ("connection", "pgconn"):
        assert report.finding("leaks_some", resource, "leaked")["count"] == leaked


def test_psycopg2_closed(databases, postgres):
    report = databases("closes_all")
    report.nothing_about("closes", "churn")
    assert report.connections(postgres.peer) == {"opened": 15, "closed": 15, "open": 0, "closed_by_finalizer": 0}


def test_pool_in_use_is_no_leak(databases):
    report = databases("pool_of_five")
    for function in ("fills_pool", "borrows", "pool_of_five"):
        report.nothing_about(function)


def test_pool_never_given_back(databases):
    report = databases("pool_runs_dry")
    assert report.finding("checks_out", "connection", "leaked")["count"] == 30


@pytest.mark.parametrize("mode, function", [("drops_all", "drops"), ("cycles", "drops_in_a_cycle")])
def test_closed_by_finalizer(databases, postgres, mode, function):
    report = databases(mode)
    assert report.finding(function, "connection", "finalizer-closed")["count"] == 30
    assert report.connections(postgres.peer)["closed_by_finalizer"] == 30


def test_churn(databases):
    report = databases("churn")
    churn = report.finding("churns", "connection", "churn")
    assert 0 < churn["evidence"]["share_of_time_connecting"] <= 1
    report.nothing_about("churns", "churn")
    (site,) = [row for row in report.json["sites"] if row["resource"] == "connection" and row["site"]["function"] == "churns"]
    assert site["verdict"] == "churn"


def test_singleton_is_no_leak(databases):
    report = databases("open_at_exit")
    report.nothing_about("Singleton.get", "open-at-exit")
    assert all(finding["severity"] == "note" for finding in report.find("Singleton.get"))


def test_failed_connects_that_are_freed(databases):
    databases("cannot_connect").nothing_about("fails", "churn")


@pytest.mark.parametrize("mode, leaked", [("leaks_one_in_four", 10), ("leaks_all", 40)])
def test_python_sockets_leak(sockets, listener, mode, leaked):
    report = sockets(mode)
    assert report.finding("connects", "connection", "leaked")["count"] == leaked
    row = report.connections(f"127.0.0.1:{listener}")
    assert (row["opened"], row["open"]) == (40, leaked)


def test_python_sockets_closed(sockets):
    sockets("closes_all").nothing_about("closes", "churn")


def test_leaks_before_other_work(sockets):
    report = sockets("called_first")
    assert report.finding("connects", "connection", "leaked")["count"] == 7
    report.nothing_about("closes", "churn")


def test_pool_of_sockets_is_no_leak(sockets):
    sockets("pool_of_five").nothing_about("opens", "open-at-exit")


def test_python_sockets_dropped(sockets):
    assert sockets("drops_all").finding("drops", "connection", "finalizer-closed")["count"] == 30


def test_refused_stay_sockets(sockets):
    report = sockets("refused")
    assert report.finding("is_refused", "socket", "leaked")["count"] == 40
    assert not report.find("is_refused", "connection")


def test_pairs_are_sockets(sockets):
    assert sockets("pairs").finding("makes_pair", "socket", "leaked")["count"] == 80


def test_copies_count_for_themselves(sockets):
    assert sockets("copies").finding("duplicate", "connection", "leaked")["count"] == 20


def test_accepted_and_never_closed(sockets):
    report = sockets("server")
    assert report.finding("accepts", "connection", "leaked")["count"] == 10
    assert not report.find("asks", verdict=LOUD)
    served = [row for row in report.json["connections"] if row["kind"] == "server"]
    assert [(row["opened"], row["closed"], row["open"]) for row in served] == [(40, 30, 10)]


def test_peer_has_hung_up(sockets):
    report = sockets("hangs_up")
    assert report.find("asks", "connection", ("close-wait", "leaked")), report.summary()
    assert sum(row["close_wait"] for row in report.json["connections"] if row["kind"] != "server") == 12


def test_redis_clients(sockets, redis):
    report = sockets("redis_clients")
    assert report.finding("leaks_client", "connection", "leaked")["count"] == 40
    assert not report.find("closes_client", verdict=LOUD)
    assert report.connections(redis.peer)["opened"] == 54


def test_every_descriptor_call(stray, target, tmp_path):
    stray.run([target("target_sockets"), tmp_path]).ok().check()


def test_unix_peers_have_names(stray, target, tmp_path):
    result = stray.run([target("target_sockets"), tmp_path]).ok()
    peers = {row["peer"]: row for row in result.report().json["connections"]}
    for peer in (f"unix:{tmp_path}/socket", f"unix:@target-{result.pid}"):
        assert (peers[peer]["opened"], peers[peer]["closed"]) == (3, 1), peer


def test_every_libpq_call(stray, target, postgres):
    result = stray.run([target("target_libpq")], env=postgres.env).ok().check()
    report = result.report()
    # One finding where a statement's literals, a connection string or a password could have slipped in.
    for path in result.files():
        assert postgres.password.encode() not in path.read_bytes()
    assert report.process()["resources"]["pgconn"]["opened"] == 21


def test_the_time_of_a_connect_comes_after_it(stray, target, postgres):
    """Both have the same call; slots that are used again must not part them."""
    result = stray.run([target("target_libpq")], env=postgres.env).ok()
    before, seen = {}, 0
    for line in stray.call("dump", result.trace).stdout.splitlines():
        words = line.split()
        if words[2] == "duration":
            seen += 1
            assert before[words[3], words[5]] in ("open", "connected"), line
        before[words[3], words[5]] = words[2]
    assert seen >= 20


@pytest.mark.parametrize("elision", [(), ("--full",)])
def test_counts_do_not_depend_on_elision(stray, target, postgres, elision):
    stray.run([target("target_libpq")], env=postgres.env, options=elision).ok().check()


def test_psycopg2_answers_as_untraced(stray, postgres):
    """Its whole interface, errors, threads and destructors included: the same to the byte."""
    command = [PYTHON, SOURCES / "python" / "psycopg2_api.py"]
    traced, untraced = stray.run(command, env=postgres.env).ok(), bare(command, env=postgres.env)
    assert untraced.returncode == 0, untraced.stderr
    assert (traced.stdout, without_ours(traced.stderr)) == (untraced.stdout, untraced.stderr)
    assert len(untraced.stdout.splitlines()) > 150
    report = traced.report()
    assert report.trace["complete"] and report.trace["lost_events"] == 0
    assert report.connections(postgres.peer)["opened"] > 30


KILLED = """
import os, signal, socket, sys, threading
kept = []
def login(port, number):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"x" * 10)
    if number % 2 == 0:
        kept.append(connection)
    else:
        connection.close()
for number in range(40):
    thread = threading.Thread(target=login, args=(int(sys.argv[1]), number))
    thread.start()
    thread.join()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("options", [(), ("--full",), ("--no-heap",)], ids=" ".join)
def test_the_youngest_leaks_count_where_their_threads_have_ended(stray, listener, options):
    report = stray.run([PYTHON, "-c", KILLED, listener], options=options).report()
    assert report.sum("login", "connection") == {"opened": 40, "closed": 20, "open": 20, "bytes_open": 0}
    assert report.finding("login", "connection", "leaked")["count"] == 20


DUAL = """
import socket
server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
port = server.getsockname()[1]
def mapped():
    return socket.create_connection(("::ffff:127.0.0.1", port))
client = mapped()
served = server.accept()
print(port, client.getpeername()[0])
"""


def test_ipv4_inside_ipv6_is_written_as_python_does(stray):
    result = stray.run([PYTHON, "-c", DUAL], options=["--no-heap"]).ok()
    port, host = result.stdout.split()
    report = result.report()
    assert host == "::ffff:127.0.0.1"
    assert report.connections(f"[{host}]:{port}", "client")["opened"] == 1
    assert report.connections(f"[::]:{port}", "server")["opened"] == 1
