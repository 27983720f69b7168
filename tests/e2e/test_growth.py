# SPDX-License-Identifier: LGPL-2.1-or-later
"""Heap that grows: leaks and a growing container are named, with their evidence, and what only stays is not."""
import pytest

INNOCENT = ["fills_a_cache", "fills_a_batch", "loads_a_table", "loads_in_between", "comes_and_goes"]


@pytest.fixture(scope="module", params=[(), ("--full",)], ids=["default", "full"])
def result(request, stray, target):
    return stray.run([target("target_growth")], options=request.param).ok()


@pytest.fixture(scope="module")
def report(result):
    return result.report()


def test_counts(result):
    result.check()


@pytest.mark.parametrize("function", ["leaks_one_in_ten", "leaks_all"])
def test_leaks_are_named(report, function):
    finding = report.finding(function, "heap", "leaked")
    evidence = finding["evidence"]
    assert evidence["survivors"] <= finding["count"]
    assert evidence["surviving_generations"] >= 0.75
    assert 0.5 < evidence["growth_order"] < 1.5
    assert evidence["tail_hazard"] < 0.5
    assert evidence["never_released_low"] <= evidence["never_released"] <= evidence["never_released_high"]
    assert evidence["bytes_per_hour_low"] < evidence["bytes_per_hour"] < evidence["bytes_per_hour_high"]
    assert finding["rate_per_hour"]["low"] < finding["rate_per_hour"]["estimate"] < finding["rate_per_hour"]["high"]


def test_share_of_what_is_never_released(report):
    share = report.finding("leaks_one_in_ten", "heap", "leaked")["evidence"]["never_released"]
    assert 0.07 < share < 0.14
    assert report.finding("leaks_all", "heap", "leaked")["evidence"]["never_released"] == 1


def test_a_growing_container_is_named(report):
    finding = report.finding("grows_a_vector", "heap", "creep")
    assert finding["count"] == 1
    assert finding["evidence"]["grown_by_realloc_bytes"] > finding["bytes"] / 2


@pytest.mark.parametrize("function", INNOCENT)
def test_what_only_stays_is_not_accused(report, function):
    report.nothing_about(function)


def test_worst_first(report):
    heap = [each["site"]["function"] for each in report.findings if each["verdict"] == "leaked" and each["resource"] == "heap"]
    assert heap == ["leaks_one_in_ten", "leaks_all"], "by bytes an hour"


def test_the_same_trace_gives_the_same_bytes(result, stray):
    texts = [stray.call("report", result.trace, "-v", "--all").stdout for _ in range(2)]
    assert texts[0] == texts[1]
    assert "never released in" in texts[0] and "growth_order" in texts[0]
    assert "not more of them, but ever bigger" in texts[0]
