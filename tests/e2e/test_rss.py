# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where resident memory went, to the part; what the allocator keeps; and when limits will be reached."""
import json
import pathlib

import pytest

from conftest import PYTHON, SOURCES, bare

MIB = 1 << 20
SLACK = 3 * MIB  # arenas are made in steps, libraries are touched as they are used
WAYS = ["retains", "leaks", "maps", "threads", "untouched", "pool"]


def adds_up(report):
    """All parts, `unexplained` included, are the growth; returns them, with 0 for what is not measured."""
    memory = report.json["memory"]
    parts = {name: value or 0 for name, value in memory["parts"].items()}
    assert sum(parts.values()) == memory["rss_end"] - memory["rss_start"], memory
    return parts


@pytest.fixture(scope="module")
def results(stray, target):
    return {way: stray.run([target("target_resident"), way]).ok() for way in WAYS}


@pytest.mark.parametrize("way", WAYS)
def test_parts_are_what_the_program_did(results, way):
    parts = adds_up(results[way].report())
    for line in results[way].stdout.splitlines():
        stated = json.loads(line)
        assert abs(parts[stated["part"]] - stated["bytes"]) < SLACK, (stated, parts)
    assert abs(parts["unexplained"]) < SLACK


def test_retention_is_said_where_it_came_from(results, stray, target):
    """What lasts is a warning. Memory is told again after a thousand times what it took to tell it, which is long on a busy machine."""
    result = results["retains"]
    for tenths in (100, 400):
        finding = result.report().finding("makes_small", "heap", "retention")
        if finding["severity"] == "note":
            result = stray.run([target("target_resident"), "retains", tenths]).ok()
    finding = result.report().finding("makes_small", "heap", "retention")
    assert finding["severity"] == "warning"
    assert "malloc_trim" in finding["message"]
    text = stray.call("report", result.trace).stdout
    assert "RETENTION" in text and "allocator holds free" in text


@pytest.mark.parametrize("way", [way for way in WAYS if way != "retains"])
def test_who_keeps_or_returns_all_retains_nothing(results, way):
    assert not results[way].report().find(verdict="retention")


@pytest.mark.parametrize("preload", ["jemalloc", "tcmalloc"])
def test_another_allocator_adds_up(stray, target, preload):
    adds_up(stray.run([target(f"target_heap_{preload}")]).ok().report())


def test_heap_that_was_not_recorded_is_not_told(stray, target):
    report = stray.run([target("target_resident"), "leaks"], options=["--no-heap"]).ok().report()
    adds_up(report)
    parts = report.json["memory"]["parts"]
    assert parts["live_heap"] is None and parts["allocator_retained"] is None
    assert parts["unexplained"] > 290 * MIB


def test_the_same_trace_gives_the_same_bytes(results, stray):
    for form in ("text", "json"):
        texts = {stray.call("report", results["retains"].trace, "--all", "-v", "--format", form).stdout for _ in range(2)}
        assert len(texts) == 1


# ---- one large result: three causes, three words ----

@pytest.fixture(scope="module")
def phases(stray, postgres):
    command = [PYTHON, SOURCES / "python" / "rows.py"]
    return {mode: adds_up(stray.run([*command, mode], env=postgres.env).ok().report()) for mode in ("kept", "undropped", "closed")}


def test_rows_lie_in_arenas_of_python(phases):
    assert phases["kept"]["python_arenas"] > phases["undropped"]["python_arenas"] + 5 * MIB


def test_a_cursor_holds_its_result(phases):
    assert phases["undropped"]["live_heap"] > 3 * MIB
    assert phases["undropped"]["live_heap"] > phases["closed"]["live_heap"] + 3 * MIB


def test_nearly_all_of_it_is_explained(phases):
    for parts in phases.values():
        assert abs(parts["unexplained"]) < SLACK, phases


@pytest.mark.parametrize("mode", ["sampled", "exact"])
def test_what_is_free_in_arenas_is_slack(stray, mode):
    slack, stays = {}, {"full": 60 * 10**6, "sparse": 6 * 10**6}
    for part in stays:
        report = stray.run([PYTHON, SOURCES / "python" / "arenas.py", part], options=("--python-memory", mode)).ok().report()
        parts = adds_up(report)
        slack[part] = parts["python_slack"]
        arenas = parts["python_arenas"] + slack[part]
        assert arenas > 58 * MIB
        interval = report.json["memory"].get("intervals", {}).get("python_slack", {"low": slack[part], "high": slack[part]})
        assert interval["low"] - SLACK < arenas - stays[part] < interval["high"] + SLACK
    assert slack["full"] < 5 * MIB and slack["sparse"] > 48 * MIB, slack


def test_without_objects_no_slack_is_told(stray):
    report = stray.run([PYTHON, SOURCES / "python" / "arenas.py", "full"], options=("--python-memory", "off")).ok().report()
    assert report.json["memory"]["parts"]["python_slack"] is None


# ---- forecasts ----

@pytest.fixture(scope="module")
def runs_out(stray, listener):
    return stray.run([PYTHON, SOURCES / "python" / "runs_out.py", listener, 400, 100]).ok().check()


def only(report, resource):
    found = [each for each in report.json["forecasts"] if each["resource"] == resource]
    assert len(found) == 1, report.json["forecasts"]
    return found[0]


def test_descriptors_run_out(runs_out, stray):
    report = runs_out.report()
    forecast = only(report, "descriptors")
    rate = report.finding("leaks_a_connection", "connection", "leaked")["rate_per_hour"]
    assert forecast["limit"] == 400 and 103 <= forecast["now"] < 125
    seconds = (forecast["limit"] - forecast["now"]) / rate["estimate"] * 3600
    assert forecast["seconds"]["estimate"] == pytest.approx(seconds, rel=1e-3)
    assert forecast["seconds"]["low"] < seconds < forecast["seconds"]["high"]
    assert "! file descriptors run out in about" in stray.call("report", runs_out.trace).stdout.splitlines()[2]


def test_connections_run_out_by_a_limit_that_is_given(runs_out, listener, stray):
    peer = f"127.0.0.1:{listener}"
    report = runs_out.report("--limit", f"{peer}=250")
    forecast = only(report, "connections")
    assert (forecast["peer"], forecast["limit"], forecast["now"]) == (peer, 250, 100)
    assert [row["limit"] for row in report.json["connections"] if row["peer"] == peer] == [250]
    assert forecast["seconds"]["estimate"] < only(report, "descriptors")["seconds"]["estimate"]
    assert report.json["forecasts"][0] == forecast, "the soonest first"


def test_nothing_is_foretold_that_is_too_far_off(runs_out, listener):
    report = runs_out.report("--limit", f"127.0.0.1:{listener}=250000")
    assert not [each for each in report.json["forecasts"] if each["resource"] == "connections"]


def test_memory_runs_out(results):
    report = results["leaks"].report("--limit", "memory=1G")
    forecast = only(report, "memory")
    assert forecast["limit"] == 1 << 30 and forecast["now"] == report.json["memory"]["rss_end"]
    evidence = report.finding("makes_small", "heap", "leaked")["evidence"]
    assert forecast["rate_per_hour"]["estimate"] == pytest.approx(evidence["bytes_per_hour"], rel=1e-6)


def group_file(line):
    """Where the kernel shows the limit of a line of /proc/self/cgroup; None: that hierarchy knows no memory."""
    _, controllers, group = line.split(":", 2)
    group = group.strip().rstrip("/")
    if controllers == "":
        return f"/sys/fs/cgroup{group}/memory.max"
    return f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes" if controllers == "memory" else None


def limits_of_control_groups(stray, target, own_mounts, above):
    """The files stand where the kernel would have them for this very process, in a namespace of its own: to make a real group the
    machine's would have to be changed. What is asked is whether they are found and read, from the group upwards."""
    trace = stray.new_folder()
    lines = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
    file = next(path for path in map(group_file, lines) if path)
    own, name = pathlib.Path(file).parent, pathlib.Path(file).name
    roots = ("/sys/fs/cgroup", "/sys/fs/cgroup/memory")
    parent = own.parent if above and str(own) not in roots else own
    script = """mount -t tmpfs tmpfs /sys/fs/cgroup && mkdir -p "$1" "$2" && echo max > "$1/$3" && echo 1073741824 > "$2/$3" || exit 99
                shift 3; exec "$@" """
    done = bare([*own_mounts, "sh", "-c", script, "sh", own, parent, name,
                 *stray.command(trace, [target("target_resident"), "leaks"])])
    assert done.returncode == 0, done.stderr
    forecast = only(stray.report(trace), "memory")
    assert forecast["limit"] == 1 << 30
    assert "memory runs out in about" in stray.call("report", trace).stdout.splitlines()[2]


# Plain containers allow neither way to mount.
for own_mounts in (["unshare", "--user", "--map-root-user", "--mount"], ["unshare", "--mount"]):
    if bare([*own_mounts, "mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup"]).returncode == 0:
        @pytest.mark.parametrize("above", [False, True], ids=["own", "above"])
        def test_memory_runs_out_by_a_control_group(stray, target, above, own_mounts=own_mounts):
            limits_of_control_groups(stray, target, own_mounts, above)
        break


def test_nothing_is_foretold_of_what_does_not_leak(results):
    assert not results["retains"].report("--limit", "memory=400M").json["forecasts"]


@pytest.mark.parametrize("limit", ["memory", "memory=", "=5", "memory=0", "memory=2X", "memory=-1"])
def test_limits_that_are_none(stray, results, limit):
    done = stray.call("report", results["pool"].trace, "--limit", limit)
    assert done.returncode == 2 and done.stderr.startswith("stray: --limit ")


# ---- the tracer's own ----

KIB = 1024
LANE = 68 * KIB  # of the spool; each thread has one
ARENAS = 64 * MIB  # libc's begin at multiples of it, and are not reserved either


def taken(path):
    """Resident bytes of the tracer's mappings as the kernel tells them: of its spool, its library, and what it mapped."""
    parts, name, end, own = {"spool": 0, "library": 0, "mapped": 0}, None, 0, False
    for line in path.read_text().splitlines():
        word, value = line.split()[:2]
        if not word.endswith(":"):
            before = end
            begin, end = (int(number, 16) for number in word.split("-"))
            file = " ".join(line.split()[5:])
            own = "libstray.so" in file or (not file and own and begin == before)
            if file.endswith(".spool"):
                name = "spool"
            else:
                name = "library" if own else None if file or begin % ARENAS == 0 else "mapped"
        elif word == "Rss:":
            resident = int(value) * KIB
        elif word == "VmFlags:" and name and (name != "mapped" or "nr" in line.split()):
            parts[name] += resident
    return parts


@pytest.fixture(scope="module", params=[1, 8, 64])
def footprint(request, stray, target, tmp_path_factory):
    folder = tmp_path_factory.mktemp("footprint")
    result = stray.run([target("target_footprint"), folder, request.param]).ok()
    return request.param, result, {name: taken(folder / name) for name in ("start", "end", "child")}


def test_each_page_of_the_spool_is_resident_once(footprint):
    threads, _, parts = footprint
    assert 0 < parts["end"]["spool"] < MIB // 2 + (threads + 1) * LANE


def test_the_report_says_what_the_tracer_took(footprint):
    _, result, parts = footprint
    parent = result.tool.report(result.files(result.pid)[0])
    grown = sum(parts["end"].values()) - sum(parts["start"].values())
    assert abs(parent.json["memory"]["parts"]["tracer"] - grown) < MIB


def test_a_forked_child_begins_anew(footprint):
    """What its parent knew is given back, and not overwritten."""
    _, _, parts = footprint
    assert sum(parts["child"].values()) < 2 * MIB
