# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every row of the hook table is exported by the shim, shown by `stray hooks`, and called by a target of known truth."""
import json
import re
import subprocess

import pytest

from conftest import ROOT, SOURCES, TARGETS

ROWS = re.findall(r"^HOOK\((\d+), (\w+), (\w+), (\w+),", (ROOT / "include" / "stray" / "hooks.def").read_text(), re.MULTILINE)
NAMES = [name for _, name, _, _ in ROWS]
MANIFEST = json.loads((SOURCES / "manifest.json").read_text())

def symbols(path, *options):
    """Names in the dynamic symbol table, without versions."""
    done = subprocess.run(["nm", "-D", *options, path], stdout=subprocess.PIPE, text=True, check=True)
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}


def test_table_is_read():
    assert len(ROWS) >= 60
    assert len(set(NAMES)) == len(NAMES)
    ids = [int(number) for number, *_ in ROWS]
    assert len(set(ids)) == len(ids)


def test_manifest_names_only_hooks():
    assert set(MANIFEST) - set(NAMES) == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_target_calls_it(name):
    """Declared in the manifest, built, and truly imported by that program."""
    assert MANIFEST.get(name), f"{name}: no target covers it"
    for target in MANIFEST[name]:
        path = TARGETS / target
        assert path.exists(), f"{target}: not built"
        assert name in symbols(path, "--undefined-only"), f"{target} does not call {name}"


@pytest.mark.parametrize("name", sorted({target for targets in MANIFEST.values() for target in targets}))
def test_that_target_is_run(name):
    """By a test of this folder, which compares its numbers."""
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "e2e").glob("test_*.py"))
    assert f'target("{name}")' in tests


def test_shim_exports_the_hooks_and_nothing_else(stray):
    exported = symbols(stray.shim, "--defined-only")
    assert set(NAMES) - exported == set()
    assert exported - set(NAMES) == {"stray_attach_begin", "stray_attach_end"}


def test_shim_needs_little(stray):
    """Nothing that would enter the global scope of every traced program."""
    done = subprocess.run(["readelf", "-d", stray.shim], stdout=subprocess.PIPE, text=True, check=True)
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", done.stdout))
    assert needed <= {"libc.so.6", "ld-linux-x86-64.so.2"}, needed


def test_hooks_verb_shows_the_table(stray):
    done = stray.call("hooks")
    assert (done.returncode, done.stderr) == (0, "")
    for _, name, _, _ in ROWS:
        assert re.search(rf"\b{name}\b", done.stdout), name
