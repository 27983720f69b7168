# SPDX-License-Identifier: LGPL-2.1-or-later
"""The documents say what the tool does. Commands in docs/USER_GUIDE.md are run in their order, and what they print is compared with what the
page shows: its words, in its order, without numbers and paths, which differ from run to run. Commands elsewhere are run, or, where they
need what is not here, held against the options there are.
"""
import os
import pathlib
import re
import shlex
import shutil

import pytest

from conftest import PYTHON, ROOT, SOURCES, bare

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
GUIDE = (ROOT / "docs" / "USER_GUIDE.md").read_text()
CASES = ROOT / "examples" / "cases" / "cases.py"


# What differs from run to run in more than numbers.
VARYING = re.compile(r"NOT LEAKS|WHERE RSS| {16}|    also holds|  ! the load differs")


def words_of(line):
    """What does not depend on the run: no numbers, units, addresses, folders, names of temporary files."""
    if VARYING.match(line):
        return []
    line = re.sub(r"/tmp/tmp\w+", "", line)
    line = re.sub(r"\S*/(?=[\w.]+)", "", line)
    line = re.sub(r"\w+\.(py|c):\d+", lambda match: match[0].partition(":")[0], line)
    return [word for word in re.findall(r"[A-Za-z_][A-Za-z_.-]{2,}", line) if word not in ("KiB", "MiB", "GiB", "TiB", "min", "high", "medium", "low")]


def missing_lines(shown, printed):
    """Those lines of a page that are not printed, in this order. A value may be longer here and break a line elsewhere, so words are compared."""
    have, at, missing = [word for line in printed.splitlines() for word in words_of(line)], 0, []
    for line in shown.splitlines():
        wanted = words_of(line)
        found = next((i for i in range(at, len(have) - len(wanted) + 1) if have[i:i + len(wanted)] == wanted), None) if wanted else at
        if found is None:
            missing.append(line)
        else:
            at = found + len(wanted)
    return missing


# the user guide

def steps():
    """(commands, [what is shown of their output])"""
    made = []
    for language, text in re.findall(r"^```(sh|text)\n(.*?)^```$", GUIDE, re.M | re.S):
        if language == "sh":
            made.append((text, []))
        else:
            made[-1][1].append(text)
    return made


def test_the_guide_is_true(stray, postgres, redis, tmp_path):
    shutil.copy(CASES, tmp_path)
    env = {**postgres.env, **redis.env, "PATH": f"{stray.path.parent}:{os.environ['PATH']}"}
    wrong = []
    for commands, shown in steps():
        done = bare(["bash", "-c", commands], env=env, cwd=tmp_path)
        if done.stderr:
            wrong.append(f"{commands}: {done.stderr}")
        for text in shown:
            wrong += [f"{commands}not printed: {line}\n{done.stdout}" for line in missing_lines(text, done.stdout)]
    assert not wrong, "\n".join(wrong)


def test_code_of_the_guide_is_the_code_that_runs():
    source = CASES.read_text()
    for block in re.findall(r"^```python\n(.*?)^```$", GUIDE, re.M | re.S):
        for function in re.split(r"\n\n\n", block.strip()):
            assert function in source, function


def test_the_cases_are_all_in_the_guide():
    called = set(re.findall(r"cases\.py (\w+)", GUIDE))
    source = CASES.read_text()
    named = set(re.findall(r"^def (\w+)\(\):", source, re.M)) - {"prepare", "pool_of_orders", "pool_of_users", "spawn"}
    assert called == named


# commands on all pages

def examples():
    """Each command line of stray that stands alone in an indented or fenced block."""
    for page in PAGES:
        text = re.sub(r"\\\n\s*", "", page.read_text())
        for line in re.findall(r"^    (?:.* && )?((?:build/)?stray [a-z].*?)(?: {2,}#.*)?$", text, re.M):
            if "..." not in line and "  " not in line.split("#")[0].strip():
                yield pytest.param(line.strip(), id=f"{page.name}: {line.strip()[:60]}")


@pytest.mark.parametrize("line", examples())
def test_examples_use_verbs_and_options_there_are(stray, line):
    verbs = set(re.findall(r"^  stray (\w+)", stray.call("help").stdout, re.M))
    for part in re.findall(r"\bstray ([a-z]+)((?: [^|&;]*)?)", line.split("#")[0]):
        verb, rest = part
        if verb == "report" and "  " in rest:
            continue
        assert verb in verbs, line
        known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", stray.call(verb, "--help").stdout)) | {"--help"}
        own = shlex.split(rest.split(" -- ")[0])
        for word in own:
            if word.startswith("-") and len(word) > 1:
                assert word.split("=")[0] in known, f"{line}: {word}"


@pytest.fixture(scope="module")
def workplace(stray, postgres, tmp_path_factory):
    """A folder with what examples name: traces called trace, before and after, and a pack."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("trace", "before", "after"):
        done = bare([stray.path, "run", "-o", folder / name, "--", PYTHON, SOURCES / "python" / "databases.py", "leaks_one_in_four"], env=postgres.env)
        assert done.returncode == 0, done.stderr
    stand_ins = folder / "bin"
    stand_ins.mkdir()
    for name in ("flamegraph.pl", "pprof", "clickhouse-client"):  # not packaged by Debian
        (stand_ins / name).write_text("#!/bin/sh\ncat > /dev/null\n")
        (stand_ins / name).chmod(0o755)
    return folder


def runnable():
    """Those that read traces."""
    for parameter in examples():
        (line,) = parameter.values
        if re.match(r"(build/)?stray (report|sites|conns|sql|export|info|verify|dump|hooks|diff|check|pack) ", line + " ") and not re.search(r"\bssh\b|\bhost1/|fleet/|web-17|openpt", line):
            yield parameter


@pytest.mark.parametrize("line", runnable())
def test_examples_run(stray, postgres, workplace, line):
    env = {**postgres.env, "PATH": f"{stray.path.parent}:{workplace / 'bin'}:{sorted(pathlib.Path('/usr/lib/postgresql').glob('*/bin'))[-1]}:{os.environ['PATH']}",
           "PGOPTIONS": "-csearch_path=examples"}
    bare(["psql", "-X", "-q", "-c", "DROP SCHEMA IF EXISTS examples CASCADE; CREATE SCHEMA examples"], env=env)
    line = line.split("#")[0].removeprefix("build/")
    done = bare(["bash", "-o", "pipefail", "-c", line], env=env, cwd=workplace)
    assert done.returncode == (1 if line.startswith("stray check") and "||" not in line and "--gen" not in line else 0), done.stdout[-2000:] + done.stderr
    assert "stray: " not in done.stderr, done.stderr


# links

@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert link.startswith("http") or (page.parent / link).exists(), link


def test_every_page_is_linked():
    linked = {pathlib.Path(link).name for page in PAGES for link in re.findall(r"\]\(([^)#]+)\)", page.read_text())}
    assert {page.name for page in PAGES} - linked <= {"README.md"}
