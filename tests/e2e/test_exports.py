# SPDX-License-Identifier: LGPL-2.1-or-later
"""stray export: each format is read by what it is made for, or by the rules of its definition, and has the report's figures."""
import collections
import gzip
import json
import math
import os
import pathlib
import re
import sqlite3
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from conftest import PYTHON, ROOT, SOURCES, bare

STREAMS = ["folded", "speedscope", "pprof", "perfetto", "jsonl", "openmetrics"]


class Exported:
    """A trace with connections, PGconns and heap, of several processes where there are any."""

    def __init__(self, stray, result):
        self.stray, self.trace, self.report = stray, result.trace, result.report()

    def call(self, form, *options, text=True):
        done = subprocess.run([self.stray.path, "export", self.trace, "--to", form, *map(str, options)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        return done.stdout.decode() if text else done.stdout

    def total(self, resource, key):
        return sum(process["resources"][resource][key] for process in self.report.processes)


@pytest.fixture(scope="module")
def database(stray, postgres):
    return Exported(stray, stray.run([PYTHON, SOURCES / "python" / "databases.py", "leaks_one_in_four"], env=postgres.env).ok().check())


@pytest.fixture(scope="module")
def family(stray, listener):
    return Exported(stray, stray.run(["/bin/sh", "-c", f"for i in 1 2 3; do {PYTHON} -c 'import json' || exit; done; true"]).ok())


@pytest.fixture(params=["database", "family"])
def exported(request):
    return request.getfixturevalue(request.param)


# folded, speedscope

@pytest.mark.parametrize("weight, key", [("opened", "opened"), ("open", None), ("bytes", None)])
def test_folded(exported, weight, key):
    stacks = {}
    for line in exported.call("folded", "--weight", weight).splitlines():
        stack, count = re.fullmatch(r"(\S.*) (\d+)", line).groups()
        assert stack not in stacks, "each stack once"
        stacks[stack] = int(count)
    assert list(stacks) == sorted(stacks, key=str.encode)
    sums = collections.Counter()
    for stack, count in stacks.items():
        assert count > 0
        sums[stack.split(";")[0]] += count
    for resource in ("heap", "connection", "pgconn"):
        if key:
            assert sums[resource] == exported.total(resource, key)
    if weight == "bytes":
        assert "heap" in sums and set(sums) <= {"heap", "mmap", "pyobject"}


def test_folded_is_outermost_first(database):
    (line,) = [line for line in database.call("folded", "--resource", "connection").splitlines() if "leaks_some" in line]
    frames = line.rsplit(" ", 1)[0].split(";")
    assert frames[0] == "connection" and frames[1] == "_start"
    names = [frame.split(" (")[0] for frame in frames]
    assert names.index("leaks_one_in_four") < names.index("leaks_some")
    assert line.endswith(" 10")


def test_speedscope(exported):
    content = json.loads(exported.call("speedscope", "--weight", "opened"))
    assert content["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = content["shared"]["frames"]
    assert all(frame["name"] for frame in frames)
    names = [profile["name"] for profile in content["profiles"]]
    assert len(set(names)) == len(names) and names[0].endswith(": opened")
    for profile in content["profiles"]:
        assert profile["type"] == "sampled" and profile["unit"] in ("none", "bytes") and profile["startValue"] == 0
        assert len(profile["samples"]) == len(profile["weights"]) > 0
        assert sum(profile["weights"]) == profile["endValue"]
        assert all(0 <= frame < len(frames) for sample in profile["samples"] for frame in sample)
        resource, weight = profile["name"].split(": ")
        if weight == "opened":
            slack = len(profile["samples"]) if resource == "pyobject" else 0  # estimates are rounded stack by stack
            assert abs(profile["endValue"] - exported.total(resource, "opened")) <= slack


# pprof

def decode(data):
    """Protobuf's wire format: a list of (field, value), a value being a number or bytes."""
    fields, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            fields.append((key >> 3, varint()))
        else:
            assert key & 7 == 2
            length = varint()
            fields.append((key >> 3, data[at:at + length]))
            at += length
    return fields


def packed(data):
    return [value for _, value in decode(b"".join(b"\x08" + bytes(number) for number in re.findall(rb"[\x80-\xff]*[\x00-\x7f]", data)))]


class Profile:
    def __init__(self, data):
        fields = collections.defaultdict(list)
        for field, value in decode(data):
            fields[field].append(value)
        self.strings = [value.decode() for value in fields[6]]
        self.types = [tuple(self.strings[number] for _, number in decode(value)) for value in fields[1]]
        self.functions = {row[1]: row for row in map(dict, map(decode, fields[5]))}
        self.locations = {row[1]: row for row in map(dict, map(decode, fields[4]))}
        self.mappings = {row[1]: self.strings[row[5]] for row in map(dict, map(decode, fields[3]))}
        self.samples = []
        for value in fields[2]:
            parts = decode(value)
            labels = {}
            for field, part in parts:
                if field == 3:
                    label = dict(decode(part))
                    labels[self.strings[label[1]]] = self.strings[label[2]] if 2 in label else label.get(3, 0)
            row = dict(parts)
            self.samples.append(([self.name(number) for number in packed(row[1])], packed(row[2]), labels))
        (self.default,) = fields[14]

    def name(self, location):
        line = dict(decode(self.locations[location][4]))
        return self.strings[self.functions[line[1]][2]]


def test_pprof_is_what_protoc_decodes(database):
    data = gzip.decompress(database.call("pprof", text=False))
    done = subprocess.run(["protoc", f"--proto_path={ROOT / 'tests' / 'e2e'}", "--decode=perftools.profiles.Profile", "profile.proto"], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert not re.search(r"^\s*\d+[:{ ]", text, re.M), "a field that the format does not have"
    assert text.count("sample_type {") == 3 and 'string_table: ""' in text and '"leaks_some"' in text


def test_pprof(exported):
    profile = Profile(gzip.decompress(exported.call("pprof", "--weight", "bytes", text=False)))
    assert profile.strings[0] == "" and len(set(profile.strings)) == len(profile.strings)
    assert profile.types == [("opened", "count"), ("open", "count"), ("bytes", "bytes")]
    assert profile.strings[profile.default] == "bytes"
    sums = collections.Counter()
    for names, values, labels in profile.samples:
        assert len(values) == 3 and labels["pid"] in [process["pid"] for process in exported.report.processes]
        sums[labels["resource"]] += values[0]
    for resource in ("heap", "connection", "pgconn"):
        assert sums[resource] == exported.total(resource, "opened")
    assert all(row.get(2, 0) in (0, *profile.mappings) for row in profile.locations.values())


def test_pprof_names_the_leak(database, postgres):
    profile = Profile(gzip.decompress(database.call("pprof", "--resource", "connection", text=False)))
    ((names, values, labels),) = [sample for sample in profile.samples if "leaks_some" in sample[0]]
    assert values[:2] == [40, 10] and labels["peer"] == postgres.peer
    assert names.index("leaks_some") < names.index("leaks_one_in_four") < names.index("_start")


# perfetto

def test_perfetto(exported):
    events = json.loads(exported.call("perfetto"))["traceEvents"]
    pids = {process["pid"] for process in exported.report.processes}
    assert {event["pid"] for event in events} <= pids
    assert {event["pid"] for event in events if event["ph"] == "M"} == pids
    begins = {(event["cat"], event["id"]): event for event in events if event["ph"] == "b"}
    ends = {(event["cat"], event["id"]): event for event in events if event["ph"] == "e"}
    assert begins.keys() == ends.keys()
    assert all(ends[key]["ts"] >= begins[key]["ts"] and ends[key]["name"] == begins[key]["name"] for key in begins)
    for resource in ("connection", "pgconn"):
        assert sum(key[0] == resource for key in begins) == exported.total(resource, "opened")
    last = {}
    for event in events:
        if event["ph"] == "C":
            key = event["pid"], event["name"]
            (value,) = event["args"].values()
            assert event["ts"] >= last.get(key, (0, 0))[0] and value >= 0
            last[key] = event["ts"], value
    for process in exported.report.processes:
        assert last.get((process["pid"], "heap"), (0, 0))[1] == process["resources"]["heap"]["bytes_open"]


# tables

def rows_of(path):
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names}


def same(left, right):
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-8) if isinstance(right, float) else left == right


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@pytest.fixture
def tables(exported, folder):
    path = folder / f"{exported.trace.name}.db"
    if not path.exists():
        exported.call("sqlite", "-o", path)
    return rows_of(path)


def test_sqlite(exported, tables):
    assert list(tables) == ["trace", "process", "frame", "stack", "stack_frame", "place", "life", "site", "finding", "counter"]
    report = exported.report
    (trace,) = tables["trace"]
    assert (trace["events"], trace["complete"]) == (report.trace["events"], 1)
    assert sorted(row["pid"] for row in tables["process"]) == sorted(process["pid"] for process in report.processes)
    for resource in ("heap", "connection", "pgconn"):
        for key in ("opened", "closed", "open", "bytes_open"):
            assert sum(row[key] for row in tables["place"] if row["resource"] == resource) == exported.total(resource, key)
            assert sum(row[key] for row in tables["site"] if row["resource"] == resource) == exported.total(resource, key)
    assert [(row["id"], row["verdict"], row["count"], row["message"]) for row in tables["finding"]] == \
        [(each["id"], each["verdict"], each["count"], each["message"]) for each in report.findings]


def test_ids_lead_to_rows(tables):
    keys = {name: {row["id"] for row in tables[name]} for name in ("process", "frame", "stack", "place", "life")}
    assert all(len(keys[name]) == len(tables[name]) for name in keys)
    assert {row["stack"] for row in tables["stack_frame"]} <= keys["stack"] and {row["frame"] for row in tables["stack_frame"]} <= keys["frame"]
    for row in tables["place"]:
        assert row["process"] in keys["process"] and row["stack"] in keys["stack"]
    lives = {row["id"]: row for row in tables["life"]}
    for row in lives.values():
        assert row["place"] in keys["place"] and row["closing_stack"] in keys["stack"] | {None}
        assert row["partner"] is None or lives[row["partner"]]["resource"] != row["resource"]
    depth = collections.Counter(row["stack"] for row in tables["stack_frame"])
    assert all(depth[row["id"]] == row["frames"] for row in tables["stack"])


def test_sqlite_answers_who_leaked(database, folder):
    path = folder / "who.db"
    database.call("sqlite", "-o", path)
    done = bare(["sqlite3", path, "PRAGMA integrity_check; SELECT f.function, count(*) FROM life l JOIN place p ON l.place = p.id JOIN stack s ON p.stack = s.id "
                 "JOIN frame f ON f.id = s.blame_frame WHERE l.resource = 'connection' AND l.closed IN ('open', 'exit', 'finalizer') GROUP BY 1 ORDER BY 2 DESC LIMIT 1"])
    assert done.stdout == "ok\nleaks_some|10\n", done.stdout + done.stderr
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_jsonl_holds_the_same_rows(exported, tables):
    found = collections.defaultdict(list)
    for line in exported.call("jsonl").splitlines():
        row = json.loads(line)
        found[row.pop("table")].append(row)
    assert {name: len(rows) for name, rows in tables.items() if rows} == {name: len(rows) for name, rows in found.items()}
    for name, rows in found.items():
        for left, right in zip(rows, tables[name]):
            assert left.keys() == right.keys()
            for key, value in left.items():
                assert same(value, right[key]), (name, key)


def by_content(row):
    """PostgreSQL gives rows in any order, and truth where SQLite has numbers."""
    values = [int(value) if isinstance(value, bool) else value for value in row.values()]
    return [str(value) for value in values if not isinstance(value, float)], [value for value in values if isinstance(value, float)]


def psql(postgres, schema, *arguments, cwd=None):
    binary = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql"))[-1]
    done = bare([binary, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments], env={**postgres.env, "PGOPTIONS": f"-csearch_path={schema}"}, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tsv_loads_into_postgresql(exported, tables, postgres, tmp_path):
    out = tmp_path / "out"
    exported.call("tsv", "-o", out)
    assert os.stat(out).st_mode & 0o777 == 0o700
    assert all(os.stat(path).st_mode & 0o777 == 0o600 for path in out.iterdir())
    schema = f"export_{exported.trace.name.replace('-', '_')}"
    psql(postgres, "public", "-c", f"CREATE SCHEMA {schema}")
    psql(postgres, schema, "-f", "schema.postgresql.sql", cwd=out)
    for name, rows in tables.items():
        loaded = json.loads(psql(postgres, schema, "-c", f"SELECT coalesce(json_agg(t), '[]') FROM (SELECT * FROM stray_{name}) t"))
        assert len(loaded) == len(rows)
        for left, right in zip(sorted(loaded, key=by_content), sorted(rows, key=by_content)):
            assert list(left) == list(right)
            for key, value in left.items():
                assert same(value, right[key]), (name, key)


def test_tsv_has_a_schema_for_clickhouse(database, tables, tmp_path):
    database.call("tsv", "-o", tmp_path / "out")
    schema = (tmp_path / "out" / "schema.clickhouse.sql").read_text()
    for name, rows in tables.items():
        (body,) = re.findall(rf"CREATE TABLE IF NOT EXISTS stray_{name} \((.*?)\n\) ENGINE = MergeTree ORDER BY \(`label`, `(\w+)`\);", schema, re.S)
        columns = re.findall(r"`(\w+)` (Nullable\(\w+\)|\w+)", body[0])
        assert all(column[1] in ("Int64", "Float64", "String", "UInt8") or column[1].startswith("Nullable(") for column in columns)
        assert not rows or [column[0] for column in columns] == list(rows[0])
        assert columns[0][0] == body[1] and not columns[0][1].startswith("Nullable")
        assert f"INSERT INTO stray_{name} FROM INFILE '{name}.tsv' FORMAT TabSeparated;" in schema


# OpenMetrics

def test_openmetrics(exported):
    text = exported.call("openmetrics")
    assert text.endswith("# EOF\n")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for family in families.values():
        labels = [tuple(sorted(sample.labels.items())) for sample in family.samples]
        assert len(set(labels)) == len(labels), family.name
    (events,) = families["stray_events"].samples
    assert events.value == exported.report.trace["events"]
    for resource in ("heap", "connection", "pgconn"):
        for name, key in (("stray_opened", "opened"), ("stray_closed", "closed"), ("stray_open", "open"), ("stray_open_bytes", "bytes_open")):
            assert sum(sample.value for sample in families[name].samples if sample.labels["resource"] == resource) == exported.total(resource, key)


# all of them

@pytest.mark.parametrize("form", STREAMS)
def test_the_same_trace_gives_the_same_bytes(exported, tmp_path, form):
    out = tmp_path / "out"
    data = exported.call(form, text=False)
    assert exported.call(form, text=False) == data
    assert exported.call(form, "-o", out) == ""
    assert out.read_bytes() == data and os.stat(out).st_mode & 0o777 == 0o600


def test_the_same_trace_gives_the_same_files(exported, tmp_path):
    for name in ("a", "b"):
        exported.call("sqlite", "-o", tmp_path / f"{name}.db")
        exported.call("tsv", "-o", tmp_path / name)
    assert (tmp_path / "a.db").read_bytes() == (tmp_path / "b.db").read_bytes()
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_file_that_was_there_is_replaced(database, tmp_path):
    path = tmp_path / "x.db"
    path.write_text("something else\n" * 10000)
    database.call("sqlite", "-o", path)
    assert rows_of(path)["trace"]


@pytest.mark.parametrize("form", STREAMS)
def test_only_the_kinds_asked_for(database, form):
    data = database.call(form, "--resource", "connection", text=False)
    data = gzip.decompress(data) if form == "pprof" else data
    if form == "jsonl":
        assert {row["resource"] for row in map(json.loads, data.splitlines()) if "resource" in row} == {"connection"}
    assert b"connection" in data and (form in ("jsonl", "pprof") or b"pgconn" not in data)


def test_names_cannot_command_the_terminal(stray, tmp_path):
    source = tmp_path / "evil.py"
    source.write_text("import socket\ncode = compile('def f():\\n  return socket.socket()\\nkeep = f()', '/srv/\\x1b[2J\\x9b;\\n\\t\"\\\\.py', 'exec')\nexec(code)\n")
    evil = Exported(stray, stray.run([PYTHON, source]).ok())
    for form in STREAMS:
        data = evil.call(form, text=False)
        data = gzip.decompress(data) if form == "pprof" else data
        assert b"\x1b" not in data.replace(b"\x1a\x1b", b"") or form == "pprof"
        assert b"\xc2\x9b" not in data
        assert b"x1b[2J" in data, form
    evil.call("tsv", "-o", tmp_path / "out")
    for path in (tmp_path / "out").glob("*.tsv"):
        lines = path.read_text().splitlines()
        assert len({line.count("\t") for line in lines}) <= 1, path.name
    list(text_string_to_metric_families(evil.call("openmetrics")))


@pytest.mark.parametrize("arguments, word", [
    ([], "--to"), (["--to", "nosuch"], "nosuch"), (["--to", "sqlite"], "-o"), (["--to", "tsv"], "-o"), (["--to", "tsv", "-o", "-"], "-o"),
    (["--to", "folded", "--weight", "nosuch"], "--weight"), (["--to", "folded", "--resource", "nosuch"], "--resource"), (["--to"], "--to"),
    (["--to", "folded", "--nosuch"], "--nosuch"), (["--to", "sqlite", "-o", "/nosuch/x.db"], "/nosuch/x.db"), (["--to", "tsv", "-o", "/nosuch/x"], "/nosuch/x"),
    (["--to", "tsv", "-o", "/etc/passwd"], "/etc/passwd"), (["--to", "jsonl", "-o", "/nosuch/x"], "/nosuch/x")], ids=lambda value: " ".join(value) or "nothing")
def test_wrong_usage(stray, database, arguments, word):
    done = stray.call("export", database.trace, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stray: ") and done.stderr.count("\n") == 1 and word in done.stderr


@pytest.mark.parametrize("form", STREAMS)
def test_full_output(database, form):
    with open("/dev/full", "w") as full:
        done = database.stray.call("export", database.trace, "--to", form, stdout=full)
    assert (done.returncode, done.stderr) == (2, "stray: standard output: No space left on device\n")


def test_a_binary_is_not_for_a_terminal(database):
    script = f"import pty, sys; sys.exit(pty.spawn([{str(database.stray.path)!r}, 'export', {str(database.trace)!r}, '--to', 'pprof']) >> 8)"
    done = bare([PYTHON, "-c", script])
    assert done.returncode == 2 and "not for a terminal" in done.stdout
