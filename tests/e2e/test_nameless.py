# SPDX-License-Identifier: LGPL-2.1-or-later
"""Is a place without any symbol told by its library and its address there, wherever it is shown?"""
import re
import subprocess

import pytest

LIBRARY = """
#include <sys/socket.h>
static __attribute__((noinline)) int inner(void) { volatile int made = socket(AF_UNIX, SOCK_STREAM, 0); return made; }
int leaks_without_a_name(void) { volatile int made = inner(); return made; }
"""
PROGRAM = """
int leaks_without_a_name(void);
int main(void) { for (int i = 0; i < 40; i++) leaks_without_a_name(); return 0; }
"""


@pytest.fixture(scope="module")
def nameless(stray, tmp_path_factory):
    """A program, the trace of its run with a stripped library, and where in that the function is that opens."""
    folder = tmp_path_factory.mktemp("nameless")
    (folder / "library.c").write_text(LIBRARY)
    (folder / "program.c").write_text(PROGRAM)
    library = folder / "libnameless.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, folder / "library.c"], check=True)
    subprocess.run(["cc", "-O1", "-o", folder / "program", folder / "program.c", f"-L{folder}", "-lnameless", f"-Wl,-rpath,{folder}"],
                   check=True)
    symbols = subprocess.run(["nm", "--print-size", library], check=True, stdout=subprocess.PIPE, text=True).stdout
    (address, size), = re.findall(r"^(\w+) (\w+) t inner$", symbols, re.M)
    subprocess.run(["strip", "--strip-all", library], check=True)
    return stray.run([folder / "program"]).ok(), library, range(int(address, 16), int(address, 16) + int(size, 16) + 1)


def told(text, addresses):
    """The addresses that are told as libnameless.so+0x..., all of them in the function."""
    found = {int(address, 16) for address in re.findall(r"\blibnameless\.so\+0x([0-9a-f]+)", text)}
    assert found and found <= set(addresses), (found, addresses, text)
    return found


def test_in_the_report(stray, nameless):
    result, library, addresses = nameless
    finding, = result.report().find(resource="socket", verdict="leaked")
    assert (finding["count"], finding["site"]["function"], finding["site"]["module"]) == (40, None, str(library))
    assert finding["site"]["file"] is None and finding["stack"][1]["function"] == "leaks_without_a_name"
    here = told(finding["message"], addresses)
    done = stray.call("report", result.trace)
    assert done.returncode == 0 and told(done.stdout, addresses) == here
    assert re.search(r"^    libnameless\.so\+0x[0-9a-f]+  \S*libnameless\.so$", done.stdout, re.M), done.stdout


FOLDERS = """
#include <dirent.h>
#include <unistd.h>
int main(void) { for (int i = 0; i < 80; i++) { opendir("/etc"); usleep(1000); } return 0; }
"""


def test_what_one_call_holds_follows_from_it(stray, tmp_path):
    """One call opens a descriptor and allocates the memory for it."""
    (tmp_path / "folders.c").write_text(FOLDERS)
    subprocess.run(["cc", "-s", "-o", tmp_path / "folders", tmp_path / "folders.c"], check=True)
    report = stray.run([tmp_path / "folders"]).ok().report()
    files, = report.find(resource="file", verdict="leaked")
    memory, = report.find(resource="heap", verdict="leaked")
    assert files["count"] == memory["count"] == 80 and memory["caused_by"] == files["id"]


@pytest.mark.parametrize("command", [("sites",), ("conns", "--resource", "socket"), ("check",), ("export", "--to", "folded"),
                                     ("report", "--all", "-v")], ids=" ".join)
def test_in_lists_and_exports(stray, nameless, command):
    result, _, addresses = nameless
    done = stray.call(command[0], result.trace, *command[1:])
    assert done.returncode == (1 if command[0] == "check" else 0), done.stderr
    told(done.stdout, addresses)
