# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tools that are compared: how each is put in front of a command, and what it must have left behind."""
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile

LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu")


@dataclasses.dataclass(frozen=True)
class Tool:
    name: str
    prefix: tuple = ()
    env: tuple = ()            # (name, value), of the command
    against: str = "untraced"  # what its cost is counted from
    leaves: str = ""           # files in the folder it ran in; a run without them was not traced

    def command(self, *words):
        return [str(word) for word in (*self.prefix, *words)]

    def files(self, folder):
        return [path for path in pathlib.Path(folder).glob(self.leaves) if path.stat().st_size] if self.leaves else []


def stray(build, name, *options):
    return Tool(name, (build / "stray", "run", "-o", "trace", *options, "--"), leaves="trace/*.stray")


def preloaded(name, library, env=(), **others):
    return Tool(name, ("env", f"LD_PRELOAD={LIBRARIES / library}", *(f"{key}={value}" for key, value in env)), **others)


def of_build(build):
    """The ones that most tables have."""
    return [
        Tool("untraced"),
        stray(build, "stray"),
        Tool("heaptrack", ("heaptrack", "-o", "heaptrack"), leaves="heaptrack.*"),
        Tool("heaptrack --raw", ("heaptrack", "--raw", "-o", "heaptrack"), leaves="heaptrack.*"),
    ]


def full(build):
    return stray(build, "stray --full", "--full")


def sampled(build):
    return stray(build, "stray --sample 512K", "--sample", "512K")


def exact(build):
    return stray(build, "stray --python-memory exact", "--python-memory", "exact")


def without_heap(build):
    return stray(build, "stray --no-heap", "--no-heap")


# Other heap profilers that Debian has. Those that replace the allocator are counted from that allocator.

def jemalloc(name, *options):
    settings = ",".join(["prof:true", "prof_final:true", "prof_prefix:heap", *options])
    return preloaded(name, "libjemalloc.so.2", [("MALLOC_CONF", settings)], against="jemalloc", leaves="heap*.heap")


def sampling_rivals():
    return [preloaded("jemalloc", "libjemalloc.so.2"), jemalloc("jemalloc, 512 KiB samples")]


def complete_rivals():
    return [
        preloaded("jemalloc", "libjemalloc.so.2"),
        jemalloc("jemalloc, every block", "lg_prof_sample:0"),
        preloaded("tcmalloc", "libtcmalloc.so.4"),
        preloaded("tcmalloc, HEAPPROFILE", "libtcmalloc.so.4", [("HEAPPROFILE", "heap")], against="tcmalloc", leaves="heap*.heap"),
    ]


def valgrind():
    return Tool("valgrind memcheck", ("valgrind", "--tool=memcheck", "--track-fds=yes", "--log-file=valgrind.log"), leaves="valgrind.log")


def why_not(tool):
    """Runs `true` under the tool; None if it works, or a line that says what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(tool.command("/bin/ls"), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode != 0:
            return (done.stderr.strip() or f"status {done.returncode}").splitlines()[0]
        if tool.leaves and not tool.files(folder):
            return "leaves no profile (not built in?): " + (done.stderr.strip().splitlines() or ["no message"])[0]
    return None


def those_that_work(tools):
    """Says one line of each that does not, and leaves it out; with it those that are counted from it."""
    gone = {}
    for tool in tools:
        reason = f"needs {tool.against}" if tool.against in gone else why_not(tool)
        if reason:
            gone[tool.name] = reason
            print(f"{tool.name}: cannot be had: {reason}", file=sys.stderr, flush=True)
    return [tool for tool in tools if tool.name not in gone]


def told(build, folder):
    """What stray's trace says: {resource: {"opened": ..., "closed": ..., "estimated": ...}} over all processes."""
    done = subprocess.run([build / "stray", "report", "trace", "--format", "json"], cwd=folder, stdout=subprocess.PIPE, check=True)
    sums = {}
    for process in json.loads(done.stdout)["processes"]:
        for resource, figures in process["resources"].items():
            row = sums.setdefault(resource, {"opened": 0, "closed": 0, "estimated": figures.get("estimated", False)})
            row["opened"] += figures["opened"]
            row["closed"] += figures["closed"]
    return sums


def original_events(build, folder):
    """(events, the same with those that are estimated from a sample), acquires and releases"""
    rows = told(build, folder).values()
    counts = [(row["opened"] + row["closed"], row["estimated"]) for row in rows]
    return sum(count for count, estimated in counts if not estimated), sum(count for count, _ in counts)
