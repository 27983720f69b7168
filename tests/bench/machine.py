# SPDX-License-Identifier: LGPL-2.1-or-later
"""What figures were measured on: a table without its machine and date says nothing."""
import datetime
import os
import platform
import subprocess


def processor():
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def first_line(*command):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout.splitlines()[0]


def package(name):
    """The version of a Debian package, or None where it is not installed."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", name], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    status, _, version = done.stdout.partition(" ")
    return version if status == "installed" else None


def commit(root):
    done = subprocess.run(["git", "-C", str(root), "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip() or "no commit"


def file_system(folder):
    return subprocess.run(["stat", "-f", "-c", "%T", str(folder)], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def about(build, root):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    versions = [f"{name} {package(name)}" for name in ("heaptrack", "libjemalloc2", "libgoogle-perftools4", "valgrind") if package(name)]
    return (f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %z}, {processor()}, {os.cpu_count()} processors, {memory:.0f} GiB, "
            f"{platform.system()} {platform.release()}, {platform.libc_ver()[0]} {platform.libc_ver()[1]}; "
            f"{first_line(build / 'stray', '--version')} ({commit(root)}), {', '.join(versions)}; load {load()}")


def load():
    return f"{os.getloadavg()[0]:.2f}"
