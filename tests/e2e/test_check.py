# SPDX-License-Identifier: LGPL-2.1-or-later
"""stray check: its exit status, what it suppresses, and the forms that CI services read."""
import json
import xml.etree.ElementTree as tree

import pytest

from conftest import PYTHON, SOURCES

FOLDER = SOURCES / "python"


@pytest.fixture(scope="module")
def sockets(stray, listener, redis):
    made = {}

    def run(mode):
        if mode not in made:
            made[mode] = stray.run([PYTHON, FOLDER / "sockets.py", mode, listener], env=redis.env).ok()
            made[mode].peer = f"127.0.0.1:{listener}"
        return made[mode]
    return run


@pytest.fixture(scope="module")
def leaky(sockets):
    return sockets("leaks_one_in_four")


@pytest.fixture(scope="module")
def clean(sockets):
    return sockets("closes_all")


@pytest.fixture
def check(stray):
    def call(result, *options, status=None):
        done = stray.call("check", result.trace, *options)
        assert done.stderr == "" and (status is None or done.returncode == status), (done.returncode, done.stdout, done.stderr)
        return done.stdout
    return call


def test_leaks_fail(check, leaky):
    out = check(leaky, status=1)
    assert out.startswith("check failed") and "sockets.py:" in out and "leaked connection" in out


def test_closed_is_clean(check, clean):
    assert check(clean, status=0).startswith("check clean")


@pytest.mark.parametrize("words, status", [("leaked", 1), ("creep,leaked", 1), ("error", 1), ("note,error", 1), ("creep", 0), ("warning,note", 0),
                                           ("churn,finalizer-closed,close-wait,open-at-exit", 0)])
def test_fail_on(check, leaky, words, status):
    check(leaky, "--fail-on", words, status=status)


def test_what_fails_adds_up(check, leaky):
    check(leaky, "--fail-on", "leaked", "--fail-on", "churn", status=1)
    check(leaky, "--fail-on", "creep", "--fail-on", "churn", status=0)


def test_a_short_program_is_inconclusive(stray, target, check):
    result = stray.run(["/bin/true"]).ok()
    assert "too short" in check(result, status=3)
    assert json.loads(check(result, "--format", "json", status=3))["result"] == "inconclusive"


def test_shorter_than_wanted(check, clean, leaky):
    assert "too short" in check(clean, "--min-duration", "1h", status=3)
    check(clean, "--min-duration", "0.001s", status=0)
    check(leaky, "--min-duration", "1h", status=1)


def test_lost_events_are_inconclusive(stray, listener, redis, check):
    result = stray.run([PYTHON, FOLDER / "sockets.py", "leaks_all", listener], env=redis.env, options=["--full", "--max-size", "16K"]).ok()
    report = result.report()
    assert report.trace["lost_events"] * 1000 > report.trace["events"], "this trace must have lost something"
    assert "lost" in check(result, status=3)


def test_a_cut_trace_is_not_called_clean(stray, clean, tmp_path):
    (path,) = clean.files()
    cut = tmp_path / "cut.1.stray"
    cut.write_bytes(path.read_bytes()[:-200])
    done = stray.call("check", cut)
    assert done.returncode == 3 and "not complete" in done.stdout


def test_max_open(check, leaky, clean):
    check(clean, "--max-open", f"{clean.peer}=1", status=0)
    out = check(leaky, "--max-open", f"{leaky.peer}=10", "--fail-on", "creep", status=1)
    assert "max-open" in out and "11 connections" in out
    check(leaky, "--max-open", f"{leaky.peer}=11", "--fail-on", "creep", status=0)
    check(leaky, "--max-open", "127.*=3", "--fail-on", "creep", status=1)
    assert "no connections to a peer for --max-open elsewhere:1" in check(clean, "--max-open", "elsewhere:1=3", status=0)


def test_max_growth(check, clean):
    check(clean, "--max-growth", "1K/h", status=1)
    check(clean, "--max-growth", "1000000G/h", status=0)


def test_suppressions(check, leaky, tmp_path):
    path = tmp_path / "suppressions"
    path.write_text("# known\nconnection:^connects$\nleak:no such function\nheap:x  # until 2020-02-29\n")
    out = check(leaky, "--suppressions", path, status=0)
    assert "suppressed by connection:^connects$" in out
    assert "suppression not used (line 3): leak:no such function" in out
    assert "suppression ended (line 4): heap:x   until 2020-02-29" in out
    states = json.loads(check(leaky, "--suppressions", path, "--format", "json", status=0))["suppressions"]
    assert [row["state"] for row in states] == ["used", "unused", "expired"]
    path.write_text("leak:connects  # until 2020-01-01\n")
    check(leaky, "--suppressions", path, status=1)
    path.write_text("leak:connects  # until 2999-01-01\n")
    check(leaky, "--suppressions", path, status=0)


def test_files_of_suppressions_add_up(check, stray, leaky, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("connection:^connects$\n")
    other.write_text("\nleak:no such function\n")
    out = check(leaky, "--suppressions", one, "--suppressions", other, status=0)
    assert f"suppression not used ({other}, line 2): leak:no such function" in out
    rows = json.loads(check(leaky, "--suppressions", one, "--suppressions", other, "--format", "json", status=0))["suppressions"]
    assert [(row["file"], row["state"]) for row in rows] == [(str(one), "used"), (str(other), "unused")]
    with open(one, "rb") as file:
        assert stray.call("check", leaky.trace, "--suppressions", "-", stdin=file).returncode == 0


def test_generated_suppressions_suppress(check, leaky, stray, tmp_path):
    path = tmp_path / "suppressions"
    done = stray.call("check", leaky.trace, "--gen-suppressions", "-o", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert path.read_text().splitlines()[-1] == "connection:^connects$"
    check(leaky, "--suppressions", path, status=0)


def test_json(check, leaky):
    content = json.loads(check(leaky, "--format", "json", status=1))
    assert (content["schema"], content["result"], content["exit_status"]) == ("stray-check/1", "failed", 1)
    (finding,) = [row for row in content["findings"] if row["fate"] == "fails"]
    assert (finding["verdict"], finding["count"]) == ("leaked", 10)


def sarif_required(run):
    """What SARIF 2.1.0 requires (sections 3.13 to 3.58), of the objects that are used here."""
    driver = run["tool"]["driver"]
    assert driver["name"]
    rules = driver["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules) and all(rule["shortDescription"]["text"] for rule in rules)
    for invocation in run["invocations"]:
        assert isinstance(invocation["executionSuccessful"], bool)
        assert all(notification["message"]["text"] for notification in invocation.get("toolExecutionNotifications", []))
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        for suppression in result.get("suppressions", []):
            assert suppression["kind"] in ("inSource", "external") and suppression["status"] in ("accepted", "underReview", "rejected")
        stacks = [frame["location"] for stack in result.get("stacks", []) for frame in stack["frames"]]
        for location in result.get("locations", []) + stacks:
            if "physicalLocation" in location:
                artifact = location["physicalLocation"]["artifactLocation"]
                assert artifact["uri"] and " " not in artifact["uri"]
                assert artifact.get("uriBaseId", "SRCROOT") in run.get("originalUriBaseIds", {"SRCROOT": None})
                assert location["physicalLocation"].get("region", {"startLine": 1})["startLine"] >= 1
            assert all(each["fullyQualifiedName"] for each in location.get("logicalLocations", []))


def test_sarif(check, leaky, clean, tmp_path):
    content = json.loads(check(leaky, "--format", "sarif", "--source-root", FOLDER, status=1))
    assert content["version"] == "2.1.0" and content["$schema"].endswith("sarif-2.1.0.json")
    (run,) = content["runs"]
    sarif_required(run)
    (result,) = [each for each in run["results"] if each["ruleId"] == "leaked/connection"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "sockets.py", "uriBaseId": "SRCROOT"}
    line = (FOLDER / "sockets.py").read_text().splitlines()[place["region"]["startLine"] - 1]
    assert "socket.create_connection(" in line
    assert "strayFinding/v1" in result["partialFingerprints"]
    path = tmp_path / "suppressions"
    path.write_text("leak:connects\n")
    (run,) = json.loads(check(leaky, "--format", "sarif", "--suppressions", path, status=0))["runs"]
    sarif_required(run)
    (result,) = [each for each in run["results"] if each["ruleId"] == "leaked/connection"]
    assert result["suppressions"][0]["kind"] == "external"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].startswith("file:///")
    (run,) = json.loads(check(clean, "--format", "sarif", "--max-open", f"{clean.peer}=0", status=1))["runs"]
    sarif_required(run)
    assert run["results"][0]["ruleId"] == "max-open"
    assert run["invocations"][0] == {"executionSuccessful": True, "exitCode": 1}


def test_junit(check, leaky, clean, tmp_path):
    suite = tree.fromstring(check(leaky, "--format", "junit", status=1)).find("testsuite")
    cases = suite.findall("testcase")
    assert int(suite.get("tests")) == len(cases)
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) == 1
    failure = suite.find("testcase/failure")
    assert failure.get("type") == "leaked" and "connects" in failure.get("message") and "leaks_one_in_four" in failure.text
    suite = tree.fromstring(check(clean, "--format", "junit", "--min-duration", "2d", status=3)).find("testsuite")
    assert int(suite.get("errors")) == len(suite.findall("testcase/error")) == 1
    path = tmp_path / "suppressions"
    path.write_text("leak:connects\n")
    suite = tree.fromstring(check(leaky, "--format", "junit", "--suppressions", path, status=0)).find("testsuite")
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped")) == 1


@pytest.mark.parametrize("form", ["text", "json", "sarif", "junit"])
def test_the_same_trace_gives_the_same_bytes(check, leaky, form):
    assert check(leaky, "--format", form) == check(leaky, "--format", form)


@pytest.mark.parametrize("arguments, words", [
    (["--fail-on", "nosuch"], ["nosuch"]), (["--fail-on", "leaked,"], ["--fail-on"]), (["--max-open", "5"], ["--max-open"]),
    (["--max-open", "=5"], ["--max-open"]), (["--max-open", "db=x"], ["--max-open"]), (["--max-growth", "10M"], ["--max-growth"]),
    (["--max-growth", "x/h"], ["--max-growth"]), (["--min-duration", "soon"], ["--min-duration"]), (["--format", "html"], ["--format"]),
    (["--suppressions", "/nosuch/file"], ["/nosuch/file", "No such file"]), (["--suppressions", "/"], ["/: "]),
    (["--source-root", "relative"], ["--source-root"]), (["--nosuch"], ["--nosuch"]), (["--suppressions"], ["--suppressions"])],
    ids=lambda value: " ".join(value))
def test_wrong_usage(stray, leaky, arguments, words):
    done = stray.call("check", leaky.trace, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stray: ") and done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words), done.stderr


def test_wrong_suppressions_are_told_with_their_line(stray, leaky, tmp_path):
    path = tmp_path / "suppressions"
    path.write_text("leak:fine\nrace:wrong\n")
    done = stray.call("check", leaky.trace, "--suppressions", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{path}:2: race:wrong" in done.stderr
