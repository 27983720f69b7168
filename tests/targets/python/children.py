# SPDX-License-Identifier: LGPL-2.1-or-later
"""Children, in all the ways of the standard library."""
import multiprocessing
import os
import subprocess
import sys


def work():
    sys.exit(5)


if __name__ == "__main__":
    assert subprocess.run(["true"]).returncode == 0
    assert subprocess.check_output(["echo", "a"]) == b"a\n"
    assert subprocess.run("exit 3", shell=True).returncode == 3
    assert os.system("exit 4") == 4 << 8
    assert os.popen("echo b").read() == "b\n"
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
    assert child.exitcode == 5
    child = multiprocessing.get_context("spawn").Process(target=print, args=("spawned",))
    child.start()
    child.join()
    assert child.exitcode == 0
