# SPDX-License-Identifier: LGPL-2.1-or-later
"""Heap: every allocator function, exact to the block and the byte, whatever was elided."""
import pytest

from conftest import SOAK

ELISION = pytest.mark.parametrize("options", [(), ("--full",)], ids=["default", "full"])


@ELISION
def test_every_allocator(stray, target, options):
    stray.run([target("target_heap")], options=options).ok().check()


@ELISION
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_threads(stray, target, threads, options):
    stray.run([target("target_heap_threads"), threads], options=options).ok().check()


@ELISION
@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("seed", range(1, 1 + 2 * SOAK))
def test_addresses_that_pass_between_threads(stray, target, threads, seed, options):
    """A block is told short-lived only by its own release, not by that of the next block at its address."""
    stray.run([target("target_exchange"), threads, 20000, seed], options=options).ok().check()


@ELISION
def test_exec_that_fails(stray, target, options):
    stray.run([target("target_exec_fails")], options=options).ok().check()


def test_lives_of_hundreds_of_others(stray, target):
    """What dies while its acquire is still in the lane leaves no events, though the lane's buffers filled meanwhile."""
    process = stray.run([target("target_overflow")]).ok().check().report().process()
    assert process["events"] < process["resources"]["heap"]["opened"] / 10


@ELISION
@pytest.mark.parametrize("what", ["signals", "moves"])
def test_handlers_that_find_no_slot(stray, target, what, options):
    process = stray.run([target("target_overflow"), what], options=options).ok().check().report().process()
    sockets = process["resources"]["socket"]
    assert process["lost_events"] == 0
    assert sockets["opened"] == sockets["closed"] and sockets["opened"] > 0 and sockets["opened"] % 80 == 0


@ELISION
def test_cxx(stray, target, options):
    stray.run([target("target_heap_cxx")], options=options).ok().check()


def test_libraries_that_were_unloaded(stray, target):
    stray.run([target("target_unloaded"), target("target_plugin_one.so"), target("target_plugin_two.so")]).ok().check()


def test_totals_are_the_sums_of_the_sites(stray, target):
    report = stray.run([target("target_heap")]).ok().report()
    heap = report.process()["resources"]["heap"]
    for key in ("opened", "closed", "open", "bytes_open"):
        assert heap[key] == sum(site.get(key, 0) for site in report.json["sites"] if site["resource"] == "heap"), key
    assert heap["opened"] == heap["closed"] + heap["open"]
    assert heap["peak_bytes"] >= heap["bytes_open"]


def test_same_counts_in_every_run(stray, target):
    def once():
        heap = stray.run([target("target_heap")]).ok().report().process()["resources"]["heap"]
        return heap["opened"], heap["closed"], heap["open"], heap["bytes_open"]
    assert once() == once()


def test_heap_can_be_switched_off(stray, target, tmp_path):
    report = stray.run([target("target_sockets"), tmp_path], options=["--no-heap"]).ok().check().report()
    assert report.process()["resources"].get("heap", {"opened": 0})["opened"] == 0


def test_young_blocks_are_not_in_the_trace(stray, target):
    """A hundred thousand pairs that died at once must not cost a hundred thousand records."""
    result = stray.run([target("target_heap")]).ok()
    assert sum(path.stat().st_size for path in result.files()) < 1 << 20
