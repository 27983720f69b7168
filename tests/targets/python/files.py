# SPDX-License-Identifier: LGPL-2.1-or-later
"""files.py MODE FOLDER: files, pipes, folders and temporary files of the standard library, used well and badly."""
import os
import select
import shutil
import subprocess
import sys
import tempfile

from expect import expect

TIMES = 40
kept = []


def opens(path, keep):
    file = open(path, "w")
    file.write("text")
    if keep:
        kept.append(file)
    else:
        file.close()


def leaks_one_in_four(folder):
    for n in range(TIMES):
        opens(f"{folder}/file", n % 4 == 0)
    expect("opens", "file", TIMES, TIMES - TIMES // 4)


def leaks_all(folder):
    for _ in range(TIMES):
        opens(f"{folder}/file", True)
    expect("opens", "file", TIMES, 0)


def closes(path):
    with open(path, "w") as file:
        file.write("text")


def closes_all(folder):
    for _ in range(TIMES):
        closes(f"{folder}/file")
    expect("closes", "file", TIMES, TIMES)


def drops(path):
    return open(path, "w").write("text")


def drops_all(folder):
    for _ in range(TIMES):
        drops(f"{folder}/file")
    expect("drops", "file", TIMES, TIMES)


def makes_pipe():
    kept.append(os.pipe())


def makes_epoll():
    kept.append(select.epoll())


def lists(folder):
    kept.append(os.scandir(folder))
    next(kept[-1])


def other_kinds(folder):
    for n in range(30):
        os.mkdir(f"{folder}/sub-{n}")
    for _ in range(TIMES):
        makes_pipe()
        makes_epoll()
        lists(folder)
    expect("makes_pipe", "file", 2 * TIMES, 0)
    expect("makes_epoll", "file", TIMES, 0)
    expect("lists", "file", TIMES, 0)


def opens_log(folder, n):
    kept.append(open(f"{folder}/log-{n}", "w"))


def start_up_files(folder):
    """A few logs that stay open, and work that closes what it opens."""
    for n in range(4):
        opens_log(folder, n)
    for n in range(300):
        closes(f"{folder}/file")
        kept[n % 4].write("line")
    expect("opens_log", "file", 4, 0)
    expect("closes", "file", 300, 300)


def runs_child():
    subprocess.run(["/bin/true"], capture_output=True, check=True)


def children(_):
    """Pipes to children: both ends are closed here, the child's copies are its own."""
    for _ in range(10):
        runs_child()
    for resource in ("file", "tempfile"):
        expect("children", resource, 0, 0)


# ---- temporary files ----

def exports():
    fd, path = tempfile.mkstemp(suffix=".csv", prefix="export-")
    os.write(fd, b"row\n")
    os.close(fd)
    return path


def leaves_all(_):
    for _ in range(TIMES):
        exports()
    expect("exports", "tempfile", TIMES, 0)
    expect("exports", "file", TIMES, TIMES)


def leaves_some(_):
    for n in range(TIMES):
        path = exports()
        if n % 4:
            os.unlink(path)
    expect("exports", "tempfile", TIMES, TIMES - TIMES // 4)


def removes_all(folder):
    for n in range(TIMES):
        path = exports()
        if n % 2:
            os.remove(path)
        else:
            os.rename(path, f"{os.environ['OUTSIDE']}/result")
    expect("exports", "tempfile", TIMES, TIMES)


def named_and_kept():
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(b"text")


def named_and_removed():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"text")


def nameless():
    with tempfile.TemporaryFile() as file:
        file.write(b"text")


def folder_with_content():
    with tempfile.TemporaryDirectory() as folder:
        fd, _ = tempfile.mkstemp(dir=folder)
        os.close(fd)


def folder_kept():
    return tempfile.mkdtemp()


def tree_removed():
    folder = folder_kept()
    os.makedirs(f"{folder}/a/b")
    os.close(os.open(f"{folder}/a/b/c", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    shutil.rmtree(folder)


def all_kinds(_):
    for _ in range(10):
        named_and_kept()
        named_and_removed()
        nameless()
        folder_with_content()
        tree_removed()
    for _ in range(5):
        folder_kept()
    expect("named_and_kept", "tempfile", 10, 0)
    expect("named_and_removed", "tempfile", 10, 10)
    expect("nameless", "tempfile", 0, 0)
    expect("folder_with_content", "tempfile", 20, 20)
    expect("folder_kept", "tempfile", 15, 10)
    expect("tree_removed", "tempfile", 10, 10)
    for function in ("named_and_kept", "named_and_removed", "nameless"):
        expect(function, "file", 10, 10)


if __name__ == "__main__":
    tempfile.gettempdir()  # tries a file, the first time
    globals()[sys.argv[1]](sys.argv[2])
    # Straight out: what the interpreter's end would close is a matter of its own.
    if "ORDERLY" not in os.environ:
        os._exit(0)
