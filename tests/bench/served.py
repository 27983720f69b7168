# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tracing costs servers under load. All of a kind run at once, one under each tool, and are driven one after the other in short
turns: what disturbs the machine disturbs all alike."""
import contextlib
import dataclasses
import re
import shutil
import subprocess
import time

import servers
from context import BENCH, PYTHON, Result, progress
from measure import Spread, fail, in_turn, relative, spread
from tables import Bar, at_most, percent, percents, table

NAMES = ("redis", "service", "service-fresh")
TITLES = {
    "redis": "redis-server, SET, LPUSH and LRANGE_100",
    "service": "FastAPI and psycopg2, pooled connections",
    "service-fresh": "FastAPI and psycopg2, a connection a request",
}
CONNECTIONS = 4
WARM_UP = 4  # seconds: the interpreter has specialised its code, threads and connections are made, samples are as far apart as they will be


@dataclasses.dataclass(frozen=True)
class Load:
    rate: float  # requests a second
    tail: float  # p99 of a request, milliseconds; 0 where it is not measured
    cpu: float   # seconds of processor time of server and tool a request


def driven(server, drive):
    """Load by drive(port), which returns how many requests there were, in how long, and the p99."""
    begun, (requests, seconds, tail) = server.cpu(), drive(server.port)
    return Load(requests / seconds, tail, (server.cpu() - begun) / requests)


def output_of(*words):
    return subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout


def milliseconds(text):
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if not match:
        fail(f"wrk: no time: {text}")
    number, unit = match.groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def wrk(path, seconds):
    def drive(port):
        output = output_of("wrk", "-t", 1, "-c", CONNECTIONS, "-d", f"{seconds}s", "--latency", f"http://127.0.0.1:{port}{path}")
        if "Non-2xx" in output or "Socket errors" in output or "99%" not in output:
            fail(f"wrk: {output}")
        requests, took = re.search(r"(\d+) requests in ([\d.]+\w+)", output).groups()
        return int(requests), milliseconds(took) / 1e3, milliseconds(re.search(r"^\s+99%\s+(\S+)", output, re.MULTILINE)[1])
    return drive


def redis_benchmark(requests):
    tests = ("set", "lpush", "lrange_100")

    def drive(port):
        begun = time.monotonic()
        output_of("redis-benchmark", "-p", port, "-n", requests, "-q", "-d", 64, "-r", 10000, "-t", ",".join(tests))
        return requests * len(tests), time.monotonic() - begun, 0
    return drive


def kinds(context, env):
    """{case: (command, program, environment, load, load for warming up)}"""
    seconds = context.pick(1, 2)
    url = "postgresql://{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}".format(**env)
    uvicorn = [PYTHON, "-m", "uvicorn", "measured_service:app", "--app-dir", BENCH, "--host", "127.0.0.1", "--port", "PORT",
               "--no-access-log", "--log-level", "warning"]
    redis = ["redis-server", "--port", "PORT", "--save", "", "--bind", "127.0.0.1", "--daemonize", "no"]
    requests = context.pick(10_000, 30_000)
    service = {case: (uvicorn, PYTHON, {"DATABASE_URL": url}, wrk(path, seconds), wrk(path, WARM_UP))
               for case, path in (("service", "/rows"), ("service-fresh", "/fresh"))}
    return {"redis": (redis, shutil.which("redis-server"), {}, redis_benchmark(requests), redis_benchmark(requests)), **service}


def measure(used, rounds, command, program, env, load, warm_up):
    """({tool: [Load, ...]}, {tool: bytes on disk})"""
    with contextlib.ExitStack() as stack:
        running = {tool.name: stack.enter_context(servers.served(tool, command, env)) for tool in used}
        for server in running.values():
            warm_up(server.port)
        loads = in_turn({name: lambda server=server: driven(server, load) for name, server in running.items()}, rounds)
        return loads, {name: server.stop(program) for name, server in running.items()}


def column(loads, name, field):
    return [getattr(load, field) for load in loads[name]]


def against_untraced(loads, name, field):
    return relative(column(loads, name, field), column(loads, "untraced", field))


def table_of(loads, stored):
    rows = []
    for name in loads:
        rate, tail, cpu = (spread(column(loads, name, field)) for field in ("rate", "tail", "cpu"))
        row = [name, f"{rate.median:.0f}", f"{tail.median:.1f} ms" if tail.median else "", f"{cpu.median * 1e6:.0f} us"]
        if name == "untraced":
            row += ["", "", "", ""]
        else:
            row += [percents(against_untraced(loads, name, "rate")), percents(against_untraced(loads, name, "tail")) if tail.median else "",
                    percents(against_untraced(loads, name, "cpu")), f"{stored[name] / 1024:.0f} KiB"]
        rows.append(row)
    return table(["", "requests/s", "p99", "processor time", "requests/s", "p99", "processor time a request", "on disk"], rows)


def service_bars(case, loads):
    limits = {"stray": 0.10, "stray --sample 512K": 0.02}
    for name in [name for name in limits if name in loads]:
        rate, tail, cpu = (against_untraced(loads, name, field) for field in ("rate", "tail", "cpu"))
        yield Bar(f"{TITLES[case]}, {name}: throughput lost", percents(Spread(-rate.median, -rate.high, -rate.low)),
                  f"at most {percent(limits[name])}", -rate.median <= limits[name])
        yield at_most(f"{TITLES[case]}, {name}: p99", tail.median, 0.15, percent)
        yield Bar(f"{TITLES[case]}, {name}: processor time a request", percents(cpu), f"at most {percent(limits[name])}", cpu.median <= limits[name])


def run_case(context, case, kind, bars):
    used = [*context.tools, *context.sampled]
    progress(f"served: {case}")
    loads, stored = measure(used, context.pick(7, 25), *kind)
    if case != "redis":
        bars += service_bars(case, loads)
    return f"{TITLES[case]}:\n\n{table_of(loads, stored)}"


def can_be_driven(case):
    driver = "redis-benchmark" if case == "redis" else "wrk"
    if not shutil.which(driver):
        progress(f"{case}: cannot be measured: {driver}: not found")
    return shutil.which(driver)


def run_all(context, env):
    bars = []
    texts = [run_case(context, case, kind, bars) for case, kind in kinds(context, env).items() if context.wants(case) and can_be_driven(case)]
    how = (f"Medians of {context.pick(7, 25)} alternating turns of some seconds; {CONNECTIONS} keep-alive connections by wrk, 50 by redis-benchmark. "
           "The last columns are the changes from untraced within a round, with quartiles; processor time is that of server and tool.")
    return Result("\n\n".join([how, *texts]), bars)


def run(context):
    return run_all(context, context.cleanup.enter_context(servers.postgres()))
