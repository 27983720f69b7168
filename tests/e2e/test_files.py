# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files, pipes, epolls and all other descriptors that are no sockets: K of N at each place, and what becomes of them."""
import pytest

from conftest import PYTHON, SOAK, SOURCES


@pytest.mark.parametrize("threads", [1, 8])
def test_every_call(stray, target, tmp_path, threads):
    stray.run([target("target_files"), tmp_path, threads]).ok().check()


def test_every_kind_is_a_leak_of_its_line(stray, target, tmp_path):
    report = stray.run([target("target_files"), tmp_path, 1]).ok().report()
    for kind in ("open", "open64", "openat", "creat", "eventfd", "epoll_create1", "timerfd_create", "memfd_create", "pidfd_open",
                 "shm_open", "fopen", "tmpfile", "opendir", "popen"):
        assert report.finding(f"by_{kind}", "file", "leaked")["count"] == 13
    assert report.finding("by_pipe", "file", "leaked")["count"] == 33


def test_fortified_callers(stray, target):
    stray.run([target("target_fortified")]).ok().check()
    stray.run([target("target_fortified64")]).ok().check()


def test_raw_system_calls(stray, target):
    stray.run([target("target_raw")]).ok().check()


@pytest.mark.parametrize("round", range(3 * SOAK))
def test_numbers_that_come_back_while_they_are_looked_at(stray, target, round):
    stray.run([target("target_reuse")]).ok().check()


def test_inherited(stray, target):
    """Six files and six ends of pipes: of the program that a child executes, two files fewer."""
    result = stray.run([target("target_heirs")]).ok().check()
    books = [process["resources"]["file"] for process in result.report().processes]
    assert sorted(book.get("inherited", 0) for book in books) == [0, 10, 12, 12]
    assert all(book.get("unknown_closed", 0) == 0 for book in books)


@pytest.fixture
def python(stray, tmp_path):
    def run(mode):
        result = stray.run([PYTHON, SOURCES / "python" / "files.py", mode, tmp_path]).ok().check()
        return stray.report(*result.files(result.pid))
    return run


@pytest.mark.parametrize("mode, leaked", [("leaks_one_in_four", 10), ("leaks_all", 40)])
def test_python_leaks(python, mode, leaked):
    found = python(mode).finding("opens", "file", "leaked")
    assert found["count"] == leaked
    assert found["site"]["file"].endswith("files.py")


def test_python_closes(python):
    python("closes_all").nothing_about("closes")


def test_python_drops(python):
    assert python("drops_all").finding("drops", "file", "finalizer-closed")["count"] == 40


def test_python_kinds(python):
    report = python("other_kinds")
    for function, count in (("makes_pipe", 80), ("makes_epoll", 40), ("lists", 40)):
        assert report.finding(function, "file", "leaked")["count"] == count


def test_files_open_from_the_start(python):
    report = python("start_up_files")
    report.nothing_about("opens_log")
    report.nothing_about("closes")


def test_python_children(python):
    python("children").nothing_about("runs_child")


def test_what_the_end_closes_is_leaked(stray, tmp_path):
    result = stray.run([PYTHON, SOURCES / "python" / "files.py", "leaks_all", tmp_path], env={"ORDERLY": "1"}).ok()
    assert result.report().finding("opens", "file", "leaked")["count"] == 40
