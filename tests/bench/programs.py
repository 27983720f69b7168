#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cost of tracing whole programs, side by side with heaptrack, in one run.

    programs.py BUILD [--quick]

Runs alternate as in compare.py. Told is the processor time of the program, its children and what the tool itself needs
while it runs (heaptrack compresses in another process), and the bytes left on disk. Of servers: processor time a request.
"""
import argparse
import http.client
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from compare import ROOT, about, tools_of

BENCH = pathlib.Path(__file__).resolve().parent
SERVICE = BENCH.parent / "targets" / "service"
PYTHON = "/usr/bin/python3"


def shell(function, *arguments):
    script = f'. "{ROOT}/scripts/lib.sh"; {function} "$@"'
    return subprocess.run(["bash", "-c", script, "_", *map(str, arguments)], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def bytes_in(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def spent(work):
    """What `work` and the processes it waited for took of the processor, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, result


class Program:
    """Runs to its end."""

    def __init__(self, *command):
        self.command = list(map(str, command))

    def run(self, prefix, folder):
        done = subprocess.run([*prefix, *self.command], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, timeout=900)
        if done.returncode != 0:
            sys.exit(f"programs.py: {prefix} {self.command}: status {done.returncode}\n{done.stderr}")

    def close(self):
        pass


class Server(Program):
    """Is driven through a port, and then ended by a signal."""
    port = None

    def drive(self):
        raise NotImplementedError

    def wait_for_port(self):
        for _ in range(600):
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.1)
        sys.exit(f"programs.py: {self.command}: does not answer")

    def child(self, server):
        """The program itself, where a tool put a shell in front of it."""
        listing = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        for pid in map(int, listing):
            if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == os.path.basename(os.path.realpath(shutil.which(self.command[0]))):
                return pid
        return server.pid

    def run(self, prefix, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with open(pathlib.Path(folder) / "log", "wb") as log:
            server = subprocess.Popen([*prefix, *self.with_port()], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                self.wait_for_port()
                self.drive()
                os.kill(self.child(server), signal.SIGTERM)
                server.wait(120)
            finally:
                server.kill()
                server.wait()
        (pathlib.Path(folder) / "log").unlink()

    def with_port(self):
        return [word.replace("PORT", str(self.port)) for word in self.command]


class Redis(Server):
    def __init__(self, requests):
        super().__init__("redis-server", "--port", "PORT", "--save", "", "--bind", "127.0.0.1")
        self.requests = requests

    def drive(self):
        # Its own time counts as well, untraced as it is: the same in every run.
        subprocess.run(["redis-benchmark", "-p", str(self.port), "-n", str(self.requests), "-q", "-d", "64", "-r", "10000",
                        "-t", "set,lpush,lrange_100"], stdout=subprocess.DEVNULL, check=True)


class Service(Server):
    """FastAPI, psycopg2 and Redis; four keep-alive connections, one request at a time."""

    def __init__(self, requests):
        self.folder = pathlib.Path(shell("make_folder"))
        self.requests, self.latencies = requests, []
        shell("postgres_start", self.folder)
        shell("redis_start", self.folder)
        values = dict(line.split("=", 1) for name in ("pg.env", "redis.env")
                      for line in (self.folder / name).read_text().replace("export ", "").split("\n") if "=" in line)
        pg = {name: values[f"PG{name}"].strip("'\"") for name in ("USER", "PASSWORD", "HOST", "PORT", "DATABASE")}
        rd = {name: values[f"REDIS_{name}"].strip("'\"") for name in ("PASSWORD", "HOST", "PORT")}
        os.environ["DATABASE_URL"] = f"postgresql://{pg['USER']}:{pg['PASSWORD']}@{pg['HOST']}:{pg['PORT']}/{pg['DATABASE']}"
        os.environ["REDIS_URL"] = f"redis://:{rd['PASSWORD']}@{rd['HOST']}:{rd['PORT']}/0"
        os.environ["SIGNING_KEY"] = "measured"
        super().__init__(PYTHON, "-m", "uvicorn", "app:app", "--app-dir", SERVICE, "--host", "127.0.0.1", "--port", "PORT",
                         "--no-access-log")

    def drive(self):
        connections = [http.client.HTTPConnection("127.0.0.1", self.port, timeout=60) for _ in range(4)]
        for i in range(self.requests):
            begin = time.monotonic()
            connections[i % 4].request("GET", "/visits" if i % 2 else "/health")
            connections[i % 4].getresponse().read()
            self.latencies.append(time.monotonic() - begin)

    def close(self):
        shell("redis_stop", self.folder)
        shell("postgres_stop", self.folder)
        shell("rm -rf", self.folder)


def preprocessed(folder):
    """The compiler proper, on one large file."""
    source = pathlib.Path(folder) / "large.ii"
    subprocess.run(["g++", "-E", BENCH / "containers.cpp", "-o", source], check=True)
    compiler = subprocess.run(["g++", "-print-prog-name=cc1plus"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return Program(compiler, "-quiet", "-O1", source, "-o", "/dev/null")


def measure(name, program, tools, rounds):
    times, sizes = {tool: [] for tool in tools}, {}
    tails = {}
    for _ in range(rounds):
        for tool, prefix in tools.items():
            with tempfile.TemporaryDirectory() as folder:
                if isinstance(program, Service):
                    program.latencies = []
                time_spent, _ = spent(lambda: program.run(list(map(str, prefix)), folder))
                times[tool].append(time_spent)
                sizes[tool] = bytes_in(folder)
                if isinstance(program, Service):
                    tails.setdefault(tool, []).append(sorted(program.latencies)[len(program.latencies) * 99 // 100] * 1e3)
    median = {tool: statistics.median(values) for tool, values in times.items()}
    base = median["untraced"]
    row = [name.rjust(10), f"{base:8.2f}"]
    for tool in tools:
        if tool != "untraced":
            row.append(f"{100 * (median[tool] / base - 1):+8.1f} % {sizes[tool] / 1024:8.0f} KiB")
    print(" | ".join(row), flush=True)
    for tool, values in tails.items():
        print(f"             p99 of a request, {tool}: {statistics.median(values):.1f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--only", help="names, with commas between")
    arguments = parser.parse_args()
    build, rounds, scale = arguments.build.resolve(), 3 if arguments.quick else 7, 1 if arguments.quick else 4
    tools = tools_of(build)
    del tools["stray --full"]
    about(build, f"medians of {rounds} alternating runs")
    print("Processor time, seconds untraced; then what a tool adds, and its bytes on disk.\n")
    print(" | ".join(["program".rjust(10), "untraced", *(tool.rjust(23) for tool in tools if tool != "untraced")]))
    with tempfile.TemporaryDirectory() as folder:
        makers = {
            "containers": lambda: Program(build / "tests" / "bench" / "bench_containers", 100000 * scale),
            "json": lambda: Program(PYTHON, BENCH / "json_job.py", 50 * scale),
            "redis": lambda: Redis(50000 * scale),
            "service": lambda: Service(1000 * scale),
            "cc1plus": lambda: preprocessed(folder),
        }
        for name, maker in makers.items():
            if arguments.only and name not in arguments.only.split(","):
                continue
            program = maker()
            try:
                measure(name, program, tools, rounds)
            finally:
                program.close()


if __name__ == "__main__":
    main()
