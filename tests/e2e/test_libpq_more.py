# SPDX-License-Identifier: LGPL-2.1-or-later
"""What libpq hands out besides connections and results."""
import re

import pytest

from conftest import ROOT, bare

KINDS = {"cancel": "pgcancel", "options": "pgconninfo", "string": "pgstring", "object": "largeobject"}


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["default", "full"])
def test_every_other_libpq_call(stray, target, postgres, tmp_path, options):
    result = stray.run([target("target_libpq_more"), tmp_path / "object"], env=postgres.env, options=options).ok().check()
    for path in result.files():
        for secret in (postgres.password.encode(), b"secret word", b"it's"):
            assert secret not in path.read_bytes()


def test_leaks_are_named_and_correct_twins_are_not(stray, target, postgres):
    report = stray.run([target("target_libpq_more"), 200], env=postgres.env).ok().check().report()
    for what, resource in KINDS.items():
        assert report.finding(f"leaks_{what}", resource, "leaked")["count"] == 200
    report.nothing_about("leaks_nothing")


@pytest.mark.parametrize("resource", KINDS.values())
def test_one_kind_alone(stray, target, postgres, resource):
    report = stray.run([target("target_libpq_more"), 40], env=postgres.env, options=["--only", resource]).ok().report()
    books = report.process()["resources"]
    assert books[resource]["opened"] == 80
    assert not any(book["opened"] for kind, book in books.items() if kind != resource)


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["default", "full"])
def test_calls_that_are_left_by_throw_and_jump(stray, target, postgres, options):
    stray.run([target("target_leaves")], env=postgres.env, options=options).ok().check()


def test_calls_of_libpq_itself_leave_no_frame(stray):
    """Most calls of libpq's functions are its own: hooks jump to them. A compiler that made calls of the jumps would say nothing."""
    code = bare(["objdump", "-d", "--no-show-raw-insn", stray.shim]).stdout
    functions = dict(re.findall(r"^[0-9a-f]+ <(?:stray_hook_)?(\w+)>:\n((?:.+\n)+)", code, re.MULTILINE))
    rows = re.findall(r"^HOOK\(\d+, (\w+), \w+, \w+, \w+, PG\w+,", (ROOT / "include" / "stray" / "hooks.def").read_text(), re.MULTILINE)
    assert len(rows) > 50
    assert [name for name in rows if not re.search(r"\tjmp +\*%r", functions[name])] == []
