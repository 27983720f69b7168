# SPDX-License-Identifier: LGPL-2.1-or-later
"""stray sites and stray conns: the same figures as the report, and what filters leave of them."""
import json

import pytest

from conftest import PYTHON, SOURCES


@pytest.fixture(scope="module")
def trace(stray, listener, redis):
    """Forty connections of `connects`, of which every fourth stays open."""
    command = [PYTHON, SOURCES / "python" / "sockets.py", "leaks_one_in_four", listener]
    result = stray.run(command, env=redis.env).ok().check()
    result.peer = f"127.0.0.1:{listener}"
    return result


@pytest.fixture(scope="module")
def conns(stray):
    def call(trace, *options):
        done = stray.call("conns", trace, "--format", "json", *options)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        content = json.loads(done.stdout)
        assert content["schema"] == "stray-conns/1"
        return content["conns"]
    return call


@pytest.fixture(scope="module")
def sites(stray):
    def call(trace, *options):
        done = stray.call("sites", trace, "--format", "json", *options)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        content = json.loads(done.stdout)
        assert not list(stray.schema.iter_errors(content))
        return content["sites"]
    return call


def test_sites_are_those_of_the_report(trace, sites):
    assert sites(trace.trace) == trace.report().json["sites"]


def test_sites_filters(trace, sites):
    (row,) = sites(trace.trace, "--resource", "connection,pgconn")
    assert (row["opened"], row["closed"], row["open"], row["verdict"]) == (40, 30, 10, "leaked")
    assert row["site"]["function"] == "connects" and row["peer"] == trace.peer and row["pids"] == [trace.pid]
    place = f"sockets.py:{row['site']['line']}"
    for option in (["--site", "connec"], ["--site", "c?nnects"], ["--site", place], ["--site", "*/" + place], ["--peer", trace.peer],
                   ["--peer", "127.*"], ["--min", "40"], ["--since", "0"], ["--until", "1h"], ["--since", "2020-01-01T00:00:00Z"]):
        assert sites(trace.trace, "--resource", "connection", *option) == [row], option
    for option in (["--site", "onnec?"], ["--site", place + "9"], ["--peer", "10.*"], ["--min", "41"], ["--since", "1h"], ["--until", "0.000001"],
                   ["--until", "2020-01-01T00:00:00+02:00"]):
        assert sites(trace.trace, "--resource", "connection", *option) == [], option


def test_resources_add_up(trace, sites):
    kinds = {row["resource"] for row in sites(trace.trace, "--resource", "connection", "--resource", "file")}
    assert kinds == {"connection", "file"} == {row["resource"] for row in sites(trace.trace, "--resource", "connection,file")}


def test_sites_order_and_limit(trace, sites):
    everything = sites(trace.trace)
    opened = sites(trace.trace, "--sort", "opened")
    assert [row["opened"] for row in opened] == sorted((row["opened"] for row in everything), reverse=True)
    assert sites(trace.trace, "--sort", "opened", "--limit", "3") == opened[:3]
    assert sites(trace.trace, "--sort", "opened", "--reverse") == opened[::-1]
    assert all(row["bytes_open"] >= 1000 for row in sites(trace.trace, "--sort", "bytes_open", "--min", "1000"))


def test_conns_one_row_a_lifetime(trace, conns):
    rows = conns(trace.trace)
    assert len(rows) == 40
    assert [row["closed"] for row in rows] == [("open" if n % 4 == 0 else "closed") for n in range(40)]
    assert [row["opened_s"] for row in rows] == sorted(row["opened_s"] for row in rows)
    for row in rows:
        assert (row["peer"], row["kind"], row["pid"], row["thread"]) == (trace.peer, "client", trace.pid, trace.pid)
        assert row["site"]["function"] == "connects" and row["statements"] is None
        assert row["uses"] >= (row["closed"] == "open"), "TCP is not asked at a close within milliseconds"
        assert row["duration_s"] >= row["idle_s"] >= 0 and 0 <= row["busy_share"] <= 1
        assert (row["ended_s"] is None) == (row["closed"] == "open")
    assert {row["tcp_state"] for row in rows} <= {"ESTABLISHED", None}
    assert {row["closed_at"]["function"] for row in rows if row["closed"] == "closed"} == {"connects"}


def test_conns_filters(trace, conns):
    """A time that was shown, given back, names what it was shown for."""
    rows = conns(trace.trace)
    assert conns(trace.trace, "--since", f"{rows[20]['opened_s']:.6f}") == rows[20:]
    assert conns(trace.trace, "--until", f"{rows[4]['opened_s']:.6f}s") == rows[:5]
    assert conns(trace.trace, "--since", rows[20]["opened"]) == rows[20:]
    assert conns(trace.trace, "--until", rows[4]["opened"]) == rows[:5]
    assert conns(trace.trace, "--until", rows[-1]["opened"].replace("Z", "+00:00")) == rows
    assert conns(trace.trace, "--until", f"{rows[-1]['opened_s']:.3f}") == rows
    assert conns(trace.trace, "--limit", "2") == rows[:2]
    assert conns(trace.trace, "--peer", "nobody") == conns(trace.trace, "--resource", "pgconn") == []
    durations = [row["duration_s"] for row in conns(trace.trace, "--sort", "duration_s")]
    assert durations == sorted(durations, reverse=True)


def test_conns_of_a_database(stray, postgres, conns):
    result = stray.run([PYTHON, SOURCES / "python" / "databases.py", "drops_all"], env=postgres.env).ok()
    rows = [row for row in conns(result.trace) if row["site"]["function"] == "drops"]
    assert len(rows) == 30
    assert {row["closed"] for row in rows} == {"finalizer"}
    assert all(row["statements"] >= 1 and row["peer"] == postgres.peer and row["busy_s"] > 0 for row in rows)
    assert {(row["transaction"], row["last_statement"]) for row in rows} == {("idle in transaction", "SELECT ?")}, rows[0]
    assert all(row["in_transaction_s"] > 0 for row in rows)
    pgconns = conns(result.trace, "--resource", "pgconn", "--site", "drops")
    assert [row["statements"] for row in pgconns] == [row["statements"] for row in rows]


def test_conns_accepted(stray, conns):
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); a = s.accept()[0]; print(s.getsockname()[1])"
    result = stray.run([PYTHON, "-c", code]).ok()
    rows = conns(result.trace, "--peer", f"127.0.0.1:{result.stdout.strip()}")
    assert sorted(row["kind"] for row in rows) == ["client", "server"]


def test_state_of_a_connection_the_peer_left(stray, conns):
    code = ("import socket, time; s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname());"
            "a = s.accept()[0]; a.close(); time.sleep(1.2); keep = socket.socket()")
    result = stray.run([PYTHON, "-c", code], options=["--interval", "1s"]).ok()
    (row,) = [row for row in conns(result.trace) if row["kind"] == "client"]
    assert row["tcp_state"] == "CLOSE_WAIT", row


@pytest.mark.parametrize("verb", ["sites", "conns"])
def test_text_lines_up(stray, trace, verb):
    done = stray.call(verb, trace.trace)
    assert (done.returncode, done.stderr) == (0, "")
    title, *lines = done.stdout.splitlines()
    assert title.split()[0] in ("resource", "opened") and title.endswith("place")
    assert all(line == line.rstrip() and len(line) > title.index("place") for line in lines)
    assert stray.call(verb, trace.trace).stdout == done.stdout


@pytest.mark.parametrize("verb", ["sites", "conns"])
def test_a_list_goes_to_a_file(stray, trace, tmp_path, verb):
    out = tmp_path / "list"
    done = stray.call(verb, trace.trace, "-o", out)
    assert (done.returncode, done.stdout) == (0, "")
    assert out.read_text() == stray.call(verb, trace.trace).stdout
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("verb", ["sites", "conns"])
@pytest.mark.parametrize("arguments, word", [
    (["--resource", "heap,nosuch"], "nosuch"), (["--resource", ""], "--resource"), (["--sort", "nosuch"], "opened"), (["--min", "many"], "--min"),
    (["--min", "-1"], "--min"), (["--limit", "0"], "--limit"), (["--limit", "1x"], "--limit"), (["--since", "yesterday"], "--since"),
    (["--until", "2026-13-01T00:00:00Z"], "--until"), (["--until", "2026-02-31T00:00:00Z"], "--until"), (["--until", "2026-01-31T00:00:00"], "--until"),
    (["--since", "5 m"], "--since"), (["--format", "html"], "--format"), (["--since"], "--since"), (["--nosuch"], "--nosuch"), (["-x"], "-x")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_wrong_usage(stray, trace, verb, arguments, word):
    done = stray.call(verb, trace.trace, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stray: ") and done.stderr.count("\n") == 1 and word in done.stderr


@pytest.mark.parametrize("verb, resource", [("conns", "heap"), ("conns", "file,mmap"), ("conns", "pgresult"), ("sql", "heap"), ("sql", "connection")])
def test_what_a_verb_does_not_list_is_told(stray, trace, verb, resource):
    done = stray.call(verb, trace.trace, "--resource", resource)
    words = f"stray: --resource {resource.split(',')[-1]}: stray {verb} does not list it (see stray sites)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", words)
