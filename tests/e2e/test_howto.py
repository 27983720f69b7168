# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/HOWTO_ADD_HOOK.md, followed to the letter: its edits in a copy of the tree, a build, and programs traced with it."""
import copy
import re
import shutil
import subprocess

import pytest

from conftest import PYTHON, ROOT, bare, compare, parse_expected

PAGE = (ROOT / "docs" / "HOWTO_ADD_HOOK.md").read_text()
EDIT = re.compile(r"(?:New, `(?P<new>[^`]+)`|At the end of `(?P<end>[^`]+)`|In `(?P<file>[^`]+)`, below `(?P<below>[^`]+)`(?P<how>[^:\n]*)):\n\n"
                  r"(?P<block>(?:    .*\n|\n(?=    ))+)")


def follow(tree):
    """Makes the edits of the page; returns the files."""
    made = []
    for match in EDIT.finditer(PAGE):
        block = re.sub(r"^    ", "", match["block"], flags=re.M)
        name = match["new"] or match["end"] or match["file"]
        path = tree / name
        made.append(name)
        if match["new"]:
            assert not path.exists(), name
            path.write_text(block)
        elif match["end"]:
            path.write_text(path.read_text() + block)
        else:
            text, below = path.read_text(), match["below"]
            assert text.count(below) == 1, f"{name}: {text.count(below)} times {below}"
            if "its brace" in match["how"]:
                below += "\n{"
            separator = " " if "in its line" in match["how"] else "\n"
            path.write_text(text.replace(below, below + separator + block.rstrip("\n")))
    return made


@pytest.fixture(scope="module")
def changed(stray, tmp_path_factory):
    """The tool built of the changed tree. Built without optimisation and without tests, which would take longer."""
    base = tmp_path_factory.mktemp("howto")
    tree = base / "tree"
    files = bare(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]).stdout.split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file() and not name.startswith("tests/e2e/"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    (tree / "tests" / "e2e").mkdir(exist_ok=True)
    assert len(follow(tree)) == 12
    for command in (["meson", "setup", base / "build", tree, "-Dtests=false", "-Doptimization=0", "-Ddebug=true"], ["ninja", "-C", base / "build"],
                    ["cc", "-g", "-fno-builtin", "-D_GNU_SOURCE", "-o", base / "target_handles", tree / "tests" / "targets" / "traced" / "handles.c", "-lsqlite3"]):
        done = bare(command)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    tool = copy.copy(stray)
    tool.path, tool.shim = base / "build" / "stray", base / "build" / "preload" / "libstray.so"
    tool.target = base / "target_handles"
    yield tool
    shutil.rmtree(base)


def test_the_target_is_counted(changed):
    result = changed.run([changed.target]).ok()
    compare(result.report(), parse_expected(result.stdout))


def test_handles_of_python_are_found_at_its_lines(changed, tmp_path):
    """Python loads SQLite late, by an extension module."""
    script = tmp_path / "job.py"
    script.write_text("import sqlite3\nkept = []\n\ndef forgets():\n    kept.append(sqlite3.connect(':memory:'))\n\ndef closes():\n    sqlite3.connect(':memory:').close()\n\n"
                      "for _ in range(40):\n    forgets()\n    closes()\nimport os\nos._exit(0)\n")
    report = changed.run([PYTHON, script]).ok().report()
    assert report.sum("forgets", "sqlite")["open"] == 40 and report.sum("closes", "sqlite") == {"opened": 40, "closed": 40, "open": 0, "bytes_open": 0}


def test_handles_of_a_process_that_runs_already(changed, tmp_path):
    """By the slots of the objects that are loaded, which lead to whatever library it is."""
    script = tmp_path / "job.py"
    script.write_text("import sqlite3\nkept = []\n\ndef forgets():\n    kept.append(sqlite3.connect(':memory:'))\n\ndef closes():\n    sqlite3.connect(':memory:').close()\n\n"
                      "closes()\nprint('ready', flush=True)\ninput()\nfor _ in range(40):\n    forgets()\n    closes()\nprint('done', flush=True)\ninput()\n")
    with subprocess.Popen([PYTHON, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        trace = changed.new_folder()
        command = subprocess.Popen([changed.path, "attach", str(process.pid), "-o", trace], stderr=subprocess.PIPE, text=True)
        assert "tracing to" in command.stderr.readline()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        assert changed.call("detach", process.pid).returncode == 0
        command.communicate(timeout=60)
        process.communicate("\n", timeout=60)
        assert process.returncode == 0
    report = changed.report(trace)
    assert report.sum("forgets", "sqlite")["open"] == 40
    assert report.sum("closes", "sqlite") == {"opened": 40, "closed": 40, "open": 0, "bytes_open": 0}


def test_the_page_is_told_by_the_tool(changed):
    hooks = changed.call("hooks").stdout
    assert len(re.findall(r"^sqlite3_\w+ +sqlite +(?:open|close) +sqlite3 ", hooks, re.M)) == 4 and "posix_openpt" in hooks


def test_the_table_names_files_there_are():
    for name in re.findall(r"^\| \d+ \| `([^`*]+)`", PAGE, re.M):
        assert (ROOT / name).exists() or "NAME" in name, name
