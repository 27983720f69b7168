# SPDX-License-Identifier: LGPL-2.1-or-later
"""Python's small objects: estimated by default, counted exactly on request, left alone where asked or not its own."""
import json

import pytest

from conftest import PYTHON, SOURCES, bare

TARGET = SOURCES / "python" / "small_objects.py"
EXACT = ("--python-memory", "exact")
MEAN = 16384  # bytes between two samples


def run(stray, part, *, options=(), env=None, python=()):
    return stray.run([PYTHON, *python, TARGET, part], options=options, env=env).ok()


def book(report, resource="pyobject"):
    return report.process()["resources"][resource]


def site(report, function):
    found = [each for each in report.json["sites"] if each["resource"] == "pyobject" and each["site"]["function"] == function]
    assert len(found) == 1, found
    return found[0]


def holds(interval, truth):
    return interval["low"] <= truth <= interval["high"]


@pytest.mark.parametrize("part", ["counts", "threads", "fork"])
def test_exact_counts(stray, part):
    run(stray, part, options=EXACT).check()


@pytest.mark.parametrize("part", ["counts", "threads", "fork"])
def test_exact_counts_in_full(stray, part):
    run(stray, part, options=(*EXACT, "--full")).check()


def test_exact_bytes_and_line(stray):
    report = run(stray, "counts", options=EXACT).report()
    row = site(report, "make")
    assert row["bytes_open"] == 700 * 300
    assert "estimated" not in row and "estimated" not in book(report)
    assert (row["site"]["file"], row["site"]["language"]) == (str(TARGET), "python")
    assert TARGET.read_text().splitlines()[row["site"]["line"] - 1].strip().startswith("return PIECE * FILL")


def test_heap_stays_exact(stray):
    """The same blocks of malloc, whether objects are recorded or not."""
    env = {"PYTHONHASHSEED": "0"}
    books = [book(run(stray, "counts", options=("--python-memory", mode), env=env).report(), "heap")
             for mode in ("off", "sampled", "exact")]
    assert books[0]["opened"] == books[1]["opened"] == books[2]["opened"]
    assert books[0]["closed"] == books[1]["closed"] == books[2]["closed"]


@pytest.mark.parametrize("options, env", [
    (("--python-memory", "off"), {}),
    (("--no-heap",), {}),
    (("--only", "heap"), {}),
    (EXACT, {"PYTHONMALLOC": "malloc"}),
    (EXACT, {"PYTHONMALLOC": "malloc_debug"}),
])
def test_nothing_is_recorded(stray, options, env):
    """Not wanted; or malloc serves all, and there they are seen: never twice."""
    result = run(stray, "counts", options=options, env=env)
    report = result.report()
    assert book(report)["opened"] == 0
    if env:
        assert report.sum("make", "heap")["opened"] == 5000


def test_only_objects(stray):
    report = run(stray, "counts", options=(*EXACT, "--only", "pyobject")).check("--all").report()
    assert book(report, "heap")["opened"] == 0


@pytest.mark.parametrize("env, python", [
    ({"PYTHONMALLOC": "debug"}, ()),
    ({"PYTHONMALLOC": "pymalloc_debug"}, ()),
    ({"PYTHONDEVMODE": "1"}, ()),
    ({}, ("-X", "dev")),
    ({"PYTHONTRACEMALLOC": "5"}, ()),
    ({}, ("-X", "tracemalloc=3")),
])
def test_other_allocators_in_force(stray, env, python):
    """The interpreter's own debug hooks, or tracemalloc: counted all the same."""
    run(stray, "counts", options=EXACT, env=env, python=python).check()


def test_sampled_counts(stray):
    """Within four standard deviations of the truth, of which chance exceeds one in 15 000 runs."""
    report = run(stray, "counts").report()
    row = site(report, "make")
    assert row["estimated"] is True and book(report)["estimated"] is True
    for name, truth in (("opened", 5000), ("open", 700)):
        interval = row["intervals"][name]
        assert interval["low"] <= interval["estimate"] <= interval["high"]
        assert abs(interval["estimate"] - truth) <= 4 * (truth * MEAN / 300) ** 0.5


def test_a_leak_of_small_objects(stray):
    result = run(stray, "leak")
    report = result.report()
    truth = json.loads(result.stdout)["added"]
    found = report.finding("Cache.add", "pyobject", "leaked")
    source = TARGET.read_text().splitlines()
    assert source[found["site"]["line"] - 1].endswith("# never taken out")
    assert found["estimated"] is True and found["severity"] == "error"
    assert abs(found["count"] - truth) <= 4 * (truth * MEAN / 300) ** 0.5
    assert abs(found["bytes"] - truth * 300) <= 4 * 300 * (truth * MEAN / 300) ** 0.5
    assert found["intervals"]["count"]["low"] <= found["count"] <= found["intervals"]["count"]["high"]
    assert found["message"].startswith("about ") and "estimated) made by Cache.add" in found["message"]
    for function in ("Lru.put", "load_table", "load_table.<locals>.<listcomp>", "drop", "work"):
        report.nothing_about(function)
    text = stray.call("report", result.trace).stdout
    assert "objects (estimated)" in text and "Cache.add()" in text


def test_a_leak_found_exactly(stray):
    result = run(stray, "leak", options=EXACT)
    found = result.report().finding("Cache.add", "pyobject", "leaked")
    assert found["count"] == json.loads(result.stdout)["added"]
    assert found["bytes"] == 300 * found["count"]
    assert "estimated" not in found


@pytest.mark.parametrize("mode", ["sampled", "exact"])
def test_healthy_twins(stray, mode):
    report = run(stray, "healthy", options=("--python-memory", mode)).report()
    assert not report.find(resource="pyobject"), report.summary()


@pytest.mark.parametrize("mode", ["off", "sampled", "exact"])
@pytest.mark.parametrize("part", ["resized", "leak"])
def test_the_program_does_not_notice(stray, part, mode):
    traced = run(stray, part, options=("--python-memory", mode))
    plain = bare([PYTHON, TARGET, part])
    assert (traced.stdout, traced.stderr) == (plain.stdout, plain.stderr)


def test_resizes_leave_nothing_open(stray):
    """In the debug allocator's eyes, too, which checks each block that is resized."""
    for env in ({}, {"PYTHONMALLOC": "debug"}):
        result = run(stray, "resized", options=EXACT, env=env)
        assert result.stdout == "done\n"
        lines = [number for number, line in enumerate(TARGET.read_text().splitlines(), 1)
                 if "block = api.PyObject_" in line]
        rows = [row for row in result.report().json["sites"] if row["resource"] == "pyobject"
                and row["site"]["function"] == "resized" and row["site"]["line"] in lines]
        assert len(rows) == 2
        assert [row["open"] for row in rows] == [0, 0]
