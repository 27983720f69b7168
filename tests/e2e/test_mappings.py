# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mappings: exact to the page, whatever is unmapped, mapped over or moved; and who is to blame for them."""
import pytest

from conftest import PYTHON, SOURCES

LOUD = ("leaked", "creep")


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["default", "full"])
def test_every_mapping_call(stray, target, options):
    stray.run([target("target_mappings")], options=options).ok().check()


def test_mappings_alone(stray, target):
    stray.run([target("target_mappings")], options=["--only", "mmap"]).ok().check()


def test_one_a_call_never_unmapped(stray, target):
    report = stray.run([target("target_mappings"), 300]).ok().check().report()
    found = report.finding("leaks_every_one", "mmap", "leaked")
    assert (found["count"], found["bytes"]) == (300, 300 * 3 * 4096)
    assert "address space" in found["message"] and "never unmapped" in found["message"]
    report.nothing_about("keeps_none")


def test_the_tracer_does_not_see_itself(stray, target):
    """Lanes, the spool and what libunwind maps are no mappings of the program: it makes none."""
    report = stray.run([target("target_heap_threads"), 8]).ok().report()
    assert report.process()["resources"].get("mmap", {"opened": 0})["opened"] == 0


def test_arenas_of_the_interpreter_are_not_a_leak(stray):
    report = stray.run([PYTHON, SOURCES / "python" / "mappings.py", "arenas"]).ok().report()
    grown = report.sum("keeps_objects", "mmap")
    assert grown["open"] >= 100 and grown["bytes_open"] >= 100 << 20, grown
    assert not report.find(resource="mmap", verdict=LOUD), report.summary()


def test_the_module_mmap_is_the_programs_own(stray):
    report = stray.run([PYTHON, SOURCES / "python" / "mappings.py", "module"]).ok().check().report()
    assert report.finding("maps", "mmap", "leaked")["count"] == 100
