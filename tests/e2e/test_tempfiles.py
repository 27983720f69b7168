# SPDX-License-Identifier: LGPL-2.1-or-later
"""Temporary files and folders: each one made and removed, and whose line leaves them behind."""
import os
import shutil
import tempfile

import pytest

from conftest import BUILD, PYTHON, SOURCES


@pytest.fixture
def outside():
    """A folder that is none for temporary files."""
    folder = tempfile.mkdtemp(dir=BUILD if BUILD.parts[1] != "tmp" else "/run" if os.access("/run", os.W_OK) else os.path.expanduser("~"))
    yield folder
    shutil.rmtree(folder)


def test_every_call(stray, target, tmp_path, outside):
    result = stray.run([target("target_tempfiles"), tmp_path, outside], env={"TMPDIR": str(tmp_path)}).ok().check()
    report = stray.report(*result.files(result.pid))
    left = report.finding("by_mkstemp", "tempfile", "leaked")
    assert left["count"] == 10
    assert "leaves temporary files behind: 10 of 12 made are still there" in left["message"]
    assert f"for example {tmp_path}/tmp-" in left["message"]
    for function in ("not_temporary", "removed_at_exit", "removed_open"):
        assert not report.find(function, "tempfile"), report.summary()
    for function, count in (("to_rename", 3), ("one_of_many", 10)):
        assert report.finding(function, "tempfile", "leaked")["count"] == count
    for function, count in (("spelt", 1), ("lock", 1), ("for_child", 2)):
        assert report.finding(function, "tempfile", "open-at-exit")["count"] == count
    unknown = [process["resources"]["tempfile"].get("unknown_closed", 0) for process in report.processes]
    assert sum(unknown) == 0


def test_path_is_told_of_what_stays(stray, target, tmp_path, outside):
    report = stray.run([target("target_tempfiles"), tmp_path, outside, "late"]).ok().check().report()
    assert f"for example {tmp_path}/late-" in report.finding("late", "tempfile", "leaked")["message"]


def test_folder_of_ones_own(stray, target, tmp_path, outside):
    """TMPDIR names a folder for temporary files, whichever it is."""
    result = stray.run([target("target_tempfiles"), outside, tmp_path], env={"TMPDIR": outside + "/"}).ok()
    report = stray.report(*result.files(result.pid))
    assert report.finding("by_mkdtemp", "tempfile", "leaked")["count"] == 6


@pytest.fixture
def python(stray, tmp_path, outside):
    def run(mode):
        result = stray.run([PYTHON, SOURCES / "python" / "files.py", mode, tmp_path],
                           env={"TMPDIR": str(tmp_path), "OUTSIDE": outside}).ok().check()
        return stray.report(*result.files(result.pid))
    return run


@pytest.mark.parametrize("mode, left", [("leaves_all", 40), ("leaves_some", 10)])
def test_python_leaves(python, tmp_path, mode, left):
    found = python(mode).finding("exports", "tempfile", "leaked")
    assert found["count"] == left
    assert found["site"]["file"].endswith("files.py")
    assert f"{left} of 40 made are still there, for example {tmp_path}/export-" in found["message"]


def test_python_removes(python):
    python("removes_all").nothing_about("exports")


def test_python_kinds(python):
    report = python("all_kinds")
    assert report.finding("named_and_kept", "tempfile", "leaked")["count"] == 10
    assert report.finding("folder_kept", "tempfile", "leaked")["count"] == 5
    for function in ("named_and_removed", "nameless", "folder_with_content", "tree_removed"):
        report.nothing_about(function)


DEEP = """
import os, sys
def store(folder):
    for number in range(20):
        os.close(os.open(os.path.join(folder, str(number)), os.O_CREAT | os.O_EXCL | os.O_RDWR))
def export(folder):
    for number in range(20):
        os.close(os.open(os.path.join(folder, str(number)), os.O_CREAT | os.O_EXCL | os.O_RDWR))
deep = os.path.join(sys.argv[1], "a", "b", "c", "d")
os.makedirs(deep)
store(deep)
export(sys.argv[1])
"""


def test_data_of_services_are_no_temporary_files(stray):
    """A cluster of PostgreSQL below /tmp makes its relations exclusively, four folders down."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        report = stray.run([PYTHON, "-c", DEEP, folder]).ok().report()
        assert report.finding("export", "tempfile", "leaked")["count"] == 20
        assert not report.find("store", "tempfile")
        assert report.process()["resources"]["tempfile"]["opened"] == 20


FOLDERS = """
import os, sys
def prepare(folder):
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        os.mkdir(os.path.join(folder, name), 0o700)
def export(folder):
    for number in range(5):
        os.mkdir(os.path.join(folder, str(number)), 0o700)
prepare(sys.argv[2])
export(sys.argv[1])
"""


def test_folders_of_a_service_are_no_temporary_ones(stray, tmp_path):
    """nginx makes private folders for what it buffers, in a folder of its own, and rsync those that it copies."""
    (tmp_path / "service").mkdir()
    report = stray.run([PYTHON, "-c", FOLDERS, tmp_path, tmp_path / "service"], env={"TMPDIR": str(tmp_path)}).ok().report()
    assert report.finding("export", "tempfile", "leaked")["count"] == 5
    report.nothing_about("prepare")
    assert report.process()["resources"]["tempfile"]["opened"] == 5
