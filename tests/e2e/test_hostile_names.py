# SPDX-License-Identifier: LGPL-2.1-or-later
"""A trace made to do harm: names with HTML, control characters, terminal escapes, marks that turn text around, bytes that are no UTF-8, and
100 000 characters. It is written here by include/stray/FORMAT.md, sound in every other way, and read by every verb and into every export.
"""
import gzip
import json
import os
import re
import sqlite3
import struct
import unicodedata

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from conftest import bare

HTML = "<script>alert(1)</script><img src=x onerror=alert(2)>&amp;\"'`</title><!--"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x1b]52;c;ZWNobw==\x07\x9b31m\x90q\x9c\r\b\t\n\v\f\x7f\x01"
TURNING = "\u202eevil\u202c\u2066x\u2069\u200f\u2028\u2029"
NO_UTF8 = b"\xff\xc3(\xed\xa0\x80\xf5"
LONG = "n" * 100_000
NAMES = [(HTML + ESCAPES + TURNING).encode() + NO_UTF8, LONG.encode(), b"%s%n%p ${IFS} $(reboot) '; DROP TABLE stray_life; -- \\N \\t", b"=cmd|' /C calc'!A0"]

OPEN, END_BEGINS, END = 1, 67, 68
CONNECTION, FILE = 3, 4


# ---- a writer of traces ----

def crc32c(data):
    table = crc32c.__dict__.setdefault("table", [])
    if not table:
        for byte in range(256):
            for _ in range(8):
                byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
            table.append(byte)
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def zigzag(number):
    return varint((number << 1) ^ (number >> 63) if number >= 0 else ((-number) << 1) - 1)


def frame(kind, payload, count=0, first=0, times=(0, 0)):
    head = struct.pack("<4sHBBIIIIQQQI", b"SFRM", kind, 0, 0, len(payload), len(payload), 0, count, first, *times, 0)
    return head + struct.pack("<I", crc32c(head + payload)) + payload


class Definitions:
    def __init__(self):
        self.area = b""

    def add(self, kind, payload):
        number = len(self.area) // 16 + 1
        body = struct.pack("<HI", kind, len(payload)) + payload
        self.area += struct.pack("<HHIII", 0x4644, kind, len(payload), crc32c(body), 0) + payload
        self.area += b"\0" * (-len(self.area) % 16)
        return number


def events_payload(events, first_time):
    columns, before = [b"".join(bytes([event[i]]) for event in events) for i in (0, 1)], {"time": first_time, "stack": 0, "handle": 0}
    columns.append(b"".join(varint(event[2]) for event in events))
    for i, name in ((3, "time"), (4, "stack"), (5, "handle")):
        column = b""
        for event in events:
            column += zigzag(event[i] - before[name])
            before[name] = event[i]
        columns.append(column)
    columns.append(b"".join(varint(event[6]) for event in events))
    return b"".join(columns)


def write_trace(path, names=NAMES):
    """Forty connections and files from each of the names, none of them closed."""
    definitions, nodes, events, time = Definitions(), [(0, 0, 1, 0)], [], 1000
    evil = NAMES[0]
    fixed = struct.pack("<QQQQ16sIIII", 1_700_000_000_000_000_000, 1000, 1000, 7, b"\1" * 16, 4121, 4000, 2, 0)
    definitions.add(1, fixed + b"/srv/" + evil + b"\0" + evil + b"\0" + LONG.encode() + b"\0")
    definitions.add(6, evil + b"\0")
    definitions.add(7, b"STRAY_SPOOL=" + evil + b"\0")
    places = []
    for name in names:
        code = definitions.add(3, struct.pack("<IHHII", 5, 11, 0, 0, len(name)) + b"/srv/" + name + b".py\0" + name + b"\0")
        endpoint = definitions.add(4, name + b":5432\0")
        start = 0x400000 + len(nodes) * 0x10000
        definitions.add(2, struct.pack("<QQQQII", start, start + 0xf000, 0, 0, 20, 0) + b"\7" * 20 + b"/srv/" + name + b"\0")
        nodes += [(code << 32, 1, 3, 0), (start + 0x100, 1, 2, 0)]
        places += [(len(nodes) - 1, FILE, 0), (len(nodes), CONNECTION, endpoint)]
    for _ in range(40):
        for stack, resource, value in places:
            time += 1_000_000
            events.append((OPEN, resource, 24, time, stack, len(events) + 3, value))
    events += [(END_BEGINS, 0, 0, time + 1000, 0, 0, 1), (END, 0, 0, time + 2000, 0, 0, 1)]
    head = struct.pack("<8sIIII16s16sIIQI", b"STRAYTR1", 80, 0, 0, 4121, b"\xa0" * 16, b"\0" * 16, 4000, 0, 0, 0)
    node_bytes = b"".join(struct.pack("<QIHH", *node) for node in nodes)
    path.write_bytes(head + struct.pack("<I", crc32c(head)) + frame(3, definitions.area) + frame(2, node_bytes, len(nodes), 1) +
                     frame(1, events_payload(events, events[0][3]), len(events), 0, (events[0][3], events[-1][3])))


@pytest.fixture(scope="module")
def hostile(stray, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / ("h" * 100)
    folder.mkdir()
    write_trace(folder / "evil.4121.stray")
    done = stray.call("verify", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    report = stray.report(folder)
    assert report.trace["complete"] and len(report.find(verdict="leaked")) >= 4, report
    return folder


def assert_harmless(text, what):
    """Valid UTF-8 without anything that a terminal obeys or that turns text around."""
    if isinstance(text, bytes):
        text = text.decode()
    bad = {character for character in text if character != "\n" and (unicodedata.category(character) in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(character) in
           ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI") or character in "\u200e\u200f")}
    assert not bad, f"{what}: {sorted(map(hex, map(ord, bad)))}"


TEXTS = [["report"], ["report", "-v", "--all"], ["report", "--color=always"], ["sites"], ["conns"], ["sql"], ["info"], ["verify"], ["dump"], ["check"], ["check", "--gen-suppressions"]]


@pytest.mark.parametrize("arguments", TEXTS, ids=lambda value: " ".join(value))
def test_texts_command_no_terminal(stray, hostile, arguments):
    done = bare([stray.path, arguments[0], hostile, *arguments[1:]], text=False)
    assert done.returncode in (0, 1) and done.stderr == b""
    text = done.stdout
    if "--color=always" in arguments:
        text = re.sub(rb"\x1b\[(?:0|1|1;3[13])m", b"", text)
    assert_harmless(text.replace(b"\t", b" "), arguments)


def test_lines_of_the_report_stay_short(stray, hostile):
    for arguments in ([], ["-v", "--all"]):
        assert max(map(len, stray.call("report", hostile, *arguments).stdout.splitlines())) <= 110


def test_an_error_that_names_a_file_is_one_line(stray, tmp_path):
    path = tmp_path / ("x" + ESCAPES.replace("\n", "\n") + TURNING)
    path.write_text("no trace")
    for verb in ("report", "verify", "dump", "export", "pack"):
        done = bare([stray.path, verb, path, *(["--to", "folded"] if verb == "export" else ["-o", tmp_path / "out"] if verb == "pack" else [])], text=False)
        assert done.returncode == 2
        assert_harmless(done.stdout + done.stderr, verb)
        assert (done.stdout + done.stderr).count(b"\n") == 1


@pytest.mark.parametrize("arguments", [["report", "--all"], ["sites"], ["conns"], ["sql"], ["info"], ["verify"], ["check"], ["check", "--format=sarif"]],
                         ids=lambda value: " ".join(value))
def test_json_is_json(stray, hostile, arguments):
    form = [] if any(word.startswith("--format") for word in arguments) else ["--format", "json"]
    done = bare([stray.path, arguments[0], hostile, *arguments[1:], *form], text=False)
    assert done.returncode in (0, 1) and done.stderr == b""
    content = json.loads(done.stdout.decode())
    if arguments[0] == "report":
        assert {finding["site"]["function"] for finding in content["findings"]} >= {LONG}
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x80-\xff]", done.stdout), "JSON on a terminal is to be harmless as well"


def bytes_of(text):
    """The bytes that a text of the report stands for, as docs/report.schema.json says."""
    def plain(match):
        slashes, code = len(match[1]), match[2]
        return "\\" * (slashes // 2) + (chr(0xdc00 + int(code, 16)) if slashes % 2 else "x" + code)
    return re.sub(r"(\\+)x([0-9a-f]{2})", plain, text).encode(errors="surrogateescape")


def test_bytes_that_are_no_utf8_can_be_told_from_what_looks_like_them(stray, tmp_path):
    names = [b"caf\xe9", b"caf\\xe9", b"caf\\\xe9", b"caf\\\\xe9", "caf\u00e9".encode(), b"App\\Cafe", NO_UTF8]
    write_trace(tmp_path / "bytes.4121.stray", names)
    found = {each["site"]["function"] for each in stray.report(tmp_path).findings}
    assert {"caf\\xe9", "caf\\\\xe9", "caf\u00e9", "App\\Cafe"} <= found
    assert {bytes_of(each) for each in found} == set(names)
    for arguments in (["export", "--to", "folded"], ["check", "--gen-suppressions"]):
        assert "caf\\xe9" in stray.call(*arguments, tmp_path).stdout, arguments


def test_generated_suppressions_suppress_any_name(stray, tmp_path):
    write_trace(tmp_path / "names.4121.stray", [b"caf\xe9", b"caf\\xe9", b"a b", b"a#b c", b"# until 2020-01-01", b"a*b", b"^x$", *NAMES])
    path = tmp_path / "suppressions"
    path.write_text(stray.call("check", tmp_path, "--gen-suppressions").stdout)
    done = stray.call("check", tmp_path, "--suppressions", path)
    assert (done.returncode, done.stderr) == (0, "") and "suppression not used" not in done.stdout, done.stdout[:4000]


def test_dump_is_an_object_a_line(stray, hostile):
    for line in stray.call("dump", hostile, "--format", "json").stdout.rstrip("\n").split("\n"):
        json.loads(line)


def test_junit_is_xml(stray, hostile):
    from xml.etree import ElementTree
    done = bare([stray.path, "check", hostile, "--format", "junit"], text=False)
    root = ElementTree.fromstring(done.stdout)
    assert not [element for element in root.iter() if element.tag in ("script", "img")]
    assert_harmless(done.stdout, "junit")


@pytest.mark.parametrize("form", ["folded", "speedscope", "perfetto", "jsonl", "openmetrics", "pprof"])
def test_streams(stray, hostile, form):
    done = bare([stray.path, "export", hostile, "--to", form], text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    if form == "pprof":
        data = gzip.decompress(done.stdout)
        assert b"\x1b[2J" not in data and LONG[:200].encode() in data
        return
    assert_harmless(done.stdout, form)
    assert (LONG if form != "folded" else LONG[:200]).encode() in done.stdout
    if form in ("speedscope", "perfetto"):
        json.loads(done.stdout)
    elif form == "jsonl":
        [json.loads(line) for line in done.stdout.rstrip(b"\n").split(b"\n")]
    elif form == "openmetrics":
        list(text_string_to_metric_families(done.stdout.decode()))
    else:
        assert all(re.fullmatch(rb".* \d+", line) for line in done.stdout.splitlines())


def test_tables(stray, hostile, tmp_path):
    assert stray.call("export", hostile, "--to", "sqlite", "--label", ESCAPES, "-o", tmp_path / "x.db").returncode == 0
    database = sqlite3.connect(tmp_path / "x.db")
    names = {row[0] for row in database.execute("SELECT function FROM frame")}
    assert LONG in names and database.execute("SELECT count(*) FROM life").fetchone()[0] >= 160
    for name in names - {None}:
        assert_harmless(name, "sqlite")
    assert stray.call("export", hostile, "--to", "tsv", "--label", ESCAPES, "-o", tmp_path / "x").returncode == 0
    for path in (tmp_path / "x").glob("*.tsv"):
        assert_harmless(path.read_bytes().replace(b"\t", b" "), path.name)
        assert len({line.count("\t") for line in path.read_text().splitlines()}) <= 1, path.name


def test_packed_and_compared(stray, hostile, tmp_path):
    assert stray.call("pack", hostile, "-o", tmp_path / "x.pack").returncode == 0
    assert_harmless(stray.call("report", tmp_path / "x.pack").stdout, "pack")
    done = bare([stray.path, "diff", hostile, tmp_path / "x.pack"], text=False)
    assert done.returncode == 0
    assert_harmless(done.stdout, "diff")


def test_nothing_else_was_made(hostile):
    assert os.listdir(hostile) == ["evil.4121.stray"]
