# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPython's own tests, traced and untraced at the same time: the same number of tests, and the same ones fail.

The normal run takes the parts that have most to do with what is hooked; scripts/soak.sh takes all of each module.
"""
import re
import subprocess

import pytest

from conftest import PYTHON, SOAK

PARTS = {
    "test_socket": ["*BasicTCPTest*", "*BasicUDPTest*", "*BufferIOTest*", "*RecvmsgSCMRightsStreamTest*", "*NonBlockingTCPTests*",
                    "*FileObjectClassTestCase*", "*InheritanceTest*", "*SendfileUsing*"],
    "test_subprocess": ["*POSIXProcessTestCase*"],
    "test_threading": ["*ThreadTests*", "*BarrierTests*", "*ThreadJoinOnShutdown*"],
    "test_asyncio": ["*test_selector_events*", "*SubprocessFastWatcherTests*"],
    "test_ssl": ["*BasicSocketTests*", "*ContextTests*", "*TestPostHandshakeAuth*"],
}
# They look for descriptors that they do not know, and the trace's is one.
SEE_THE_TRACE = {"test_subprocess": {"test_close_fds_when_max_fd_is_lowered", "test_pass_fds_redirected"}}
HANG_WITHOUT_VSOCK = ["-i", "*VSOCK*"]


class Suite:
    def __init__(self, output):
        self.output = output
        self.ran = sum(map(int, re.findall(r"^Ran (\d+) tests? in", output, re.M)))
        self.skipped = sum(map(int, re.findall(r"skipped=(\d+)", output)))
        self.failed = set(re.findall(r"^(?:FAIL|ERROR): (test\w+)", output, re.M))


@pytest.mark.parametrize("module", PARTS)
def test_cpython(stray, tmp_path, module):
    chosen = [] if SOAK > 1 else [word for part in PARTS[module] for word in ("-m", part)]
    command = [PYTHON, "-m", "test", "-v", "--timeout", "600", *HANG_WITHOUT_VSOCK, *chosen, module]
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    folders = [tmp_path / "traced", tmp_path / "untraced"]
    for folder in folders:
        folder.mkdir()
    running = [stray.start(command, cwd=folders[0], **options), subprocess.Popen(command, cwd=folders[1], **options)]
    try:
        traced, untraced = [Suite(process.communicate(timeout=900)[0]) for process in running]
    finally:
        for process in running:
            process.kill()
    assert untraced.ran > 10, untraced.output
    assert (traced.ran, traced.skipped) == (untraced.ran, untraced.skipped), traced.output
    assert traced.failed - untraced.failed == SEE_THE_TRACE.get(module, set()), traced.output
    assert untraced.failed <= traced.failed, untraced.output
    assert stray.report(running[0].trace).trace["lost_events"] == 0
