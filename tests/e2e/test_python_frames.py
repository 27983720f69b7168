# SPDX-License-Identifier: LGPL-2.1-or-later
"""Python frames as the shim reads them, in every interpreter that is to be found.

    STRAY_BUILD=build python3 -m unittest tests/e2e/test_python_frames.py

Interpreters: those named by STRAY_PYTHONS (separated by colons), else python3.8 to python3.13 on the PATH, pyenv's, and
/usr/bin/python3. Where an interpreter has CPython's own test suite, some of it runs with a capture in every malloc, free
and close.
"""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARIES = os.path.join(os.path.abspath(os.environ.get("STRAY_BUILD", os.path.join(ROOT, "build"))),
                         "tests", "targets", "python_frames")
PROBE = os.path.join(LIBRARIES, "python_probe.so")
SOAK = os.path.join(LIBRARIES, "python_soak.so")
SCENARIOS = os.path.join(ROOT, "tests", "targets", "python_frames", "scenarios.py")
# Threads, sockets, frames by the thousand, code objects that come and go, finalizers.
SUITE = ["test_socketserver", "test_generators", "test_code", "test_thread", "test_coroutines", "test_frame",
         "test_exceptions", "test_asyncio.test_streams"]


def interpreters():
    named = os.environ.get("STRAY_PYTHONS")
    if named:
        return named.split(":")
    candidates = ["/usr/bin/python3"] + [shutil.which("python3.%d" % minor) for minor in range(8, 14)]
    candidates += glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3"))
    found = {}
    for candidate in candidates:
        report = "import sys; print(sys.version_info[1], sys.executable, sys.implementation.name)"
        try:
            words = subprocess.check_output([candidate, "-c", report], text=True, stderr=subprocess.DEVNULL).split()
        except (OSError, TypeError, subprocess.CalledProcessError):
            continue
        if len(words) == 3 and 8 <= int(words[0]) <= 13 and words[2] == "cpython":
            found[os.path.realpath(words[1])] = words[1]
    return sorted(found.values())


def minor_version(python):
    return int(subprocess.check_output([python, "-c", "import sys; print(sys.version_info[1])"]))


def run(command, preload=None, **variables):
    environment = dict(os.environ, **variables)
    environment.pop("LD_PRELOAD", None)
    if preload:
        environment["LD_PRELOAD"] = preload
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600)


def results(output):
    """What CPython's test runner says, without the times."""
    return sorted(re.findall(r"^Ran \d+ tests?|^(?:OK|FAILED).*|^(?:FAIL|ERROR): .*", output, re.MULTILINE))


class PythonFrames(unittest.TestCase):
    def setUp(self):
        self.assertTrue(os.path.exists(PROBE), "%s is not built" % PROBE)
        self.assertTrue(interpreters(), "no interpreter was found")

    def compare(self, preload):
        for python in interpreters():
            with self.subTest(python=python):
                done = run([python, SCENARIOS, PROBE], preload)
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertIn("0 differ", done.stdout)
                self.assertIn("finalizing 1 failures 0", done.stdout)

    def test_found_in_a_running_interpreter(self):
        self.compare(None)

    def test_found_before_the_interpreter_starts(self):
        self.compare(PROBE)

    def test_soak(self):
        soaked = 0
        for python in interpreters():
            suite = [python, "-m", "unittest"] + ["test." + name for name in SUITE]
            if run([python, "-c", "import test.test_socketserver"]).returncode != 0:
                continue
            with self.subTest(python=python), tempfile.NamedTemporaryFile() as report:
                # Every object by malloc() and free().
                with concurrent.futures.ThreadPoolExecutor() as both:
                    plain = both.submit(run, suite, PYTHONMALLOC="malloc")
                    traced = both.submit(run, suite, SOAK, STRAY_SOAK=report.name, PYTHONMALLOC="malloc")
                plain, traced = plain.result(), traced.result()
                self.assertEqual(results(traced.stdout), results(plain.stdout), traced.stdout[-4000:])
                lines = [list(map(int, line.split())) for line in report.read().splitlines()]
                captures, frames, unknown, _, held, held_wrongly = map(sum, zip(*lines))
                self.assertGreater(captures, 1000000)
                self.assertGreater(frames, captures)
                self.assertEqual(unknown, 0)
                self.assertEqual(held_wrongly, 0)
                if minor_version(python) >= 11:
                    self.assertGreater(held, captures / 10)
                soaked += 1
        self.assertTrue(soaked, "no interpreter has the test package")

    def test_code_that_dies_with_its_frame(self):
        """Code objects whose last reference goes when their frame is cleared."""
        program = ("from types import FunctionType\n"
                   "for _ in range(2000): FunctionType(compile('str([1])', 'text', 'exec'), {'str': str})()\n")
        for python in interpreters():
            with self.subTest(python=python), tempfile.NamedTemporaryFile() as report:
                done = run([python, "-c", program], SOAK, STRAY_SOAK=report.name, PYTHONMALLOC="malloc")
                self.assertEqual((done.returncode, done.stdout), (0, ""))
                captures, frames, unknown, definitions, _, held_wrongly = map(int, report.read().split())
                self.assertGreater(frames, 2000)
                # Compiled again and again, but always the same: defined once each.
                self.assertLess(definitions, 1000)
                self.assertEqual((unknown, held_wrongly), (0, 0))

    def test_unknown_versions_are_left_alone(self):
        """Those that developers have beside the system's; a machine with none has nothing to leave alone."""
        for python in glob.glob(os.path.expanduser("~/.pyenv/versions/3.[67].*/bin/python3")):
            with self.subTest(python=python), tempfile.NamedTemporaryFile() as report:
                done = run([python, "-c", "print(sum(range(10)))"], SOAK, STRAY_SOAK=report.name)
                self.assertEqual((done.returncode, done.stdout), (0, "45\n"))
                self.assertEqual(report.read().split()[1], b"0")
                self.assertIn("not active", run([python, SCENARIOS, PROBE]).stdout)


if __name__ == "__main__":
    unittest.main()
