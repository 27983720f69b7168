# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files, pipes, epolls and all other descriptors that are no sockets: K of N at each place, and what becomes of them."""
import pytest


@pytest.mark.parametrize("threads", [1, 8])
def test_every_call(stray, target, tmp_path, threads):
    stray.run([target("target_files"), tmp_path, threads]).ok().check()


def test_fortified_callers(stray, target):
    stray.run([target("target_fortified")]).ok().check()
    stray.run([target("target_fortified64")]).ok().check()


def test_raw_system_calls(stray, target):
    stray.run([target("target_raw")]).ok().check()
