#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tracing costs, beside untraced runs and other tools, in one run. Asserts nothing: the last lines say which bars were met.

    bench.py BUILD [--quick] [--only NAME,...] [--markdown FILE]
    bench.py --names

NAME is a part or a case of a part; --names lists them. FILE is a document with marked blocks, of which those that were measured
are written anew; that of the bars only where everything was measured.
"""
import argparse
import os
import pathlib
import signal
import sys
import time

import machine
import pairs
import pauses
import programs
import served
import resident
import rivals
import sockets
import starts
import tables
from context import ROOT, Context, progress
from measure import fail

# name: what measures it, and the title of its table
PARTS = {
    "pairs": (pairs, "A pair of malloc and free"),
    "pauses": (pauses, "Emptying a lane"),
    "rivals": (rivals, "Other heap profilers"),
    "programs": (programs, "Whole programs"),
    "sockets": (sockets, "Connections and queries"),
    "served": (served, "Servers under load"),
    "resident": (resident, "Resident memory"),
    "starts": (starts, "Starts and children"),
}


def chosen(only):
    """{part: cases}, all cases where there are none."""
    if not only:
        return {name: () for name in PARTS}
    picked = {}
    for word in only.split(","):
        part = next((name for name, (module, _) in PARTS.items() if word == name or word in getattr(module, "NAMES", ())), None)
        if part is None:
            fail(f"--only {word}: there is {', '.join(names())}")
        picked.setdefault(part, [])
        if word != part:
            picked[part].append(word)
    return picked


def names():
    return [word for name, (module, _) in PARTS.items() for word in (name, *getattr(module, "NAMES", ()))]


class Names(argparse.Action):
    def __call__(self, *_):
        for name, (module, title) in PARTS.items():
            print(f"{name:10}{title}" + "".join(f"; {word}" for word in getattr(module, "NAMES", ())))
        sys.exit(0)


def parse():
    parser = argparse.ArgumentParser(description="what tracing costs")
    parser.add_argument("build", type=pathlib.Path, help="folder of the build")
    parser.add_argument("--names", action=Names, nargs=0, help="list what --only takes")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: minutes instead of an hour")
    parser.add_argument("--only", metavar="NAME,...", help="these parts or cases only")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE", help="write what was measured into the marked blocks of FILE")
    return parser.parse_args()


def measure(build, arguments, parts):
    """Measures part by part, prints each and writes it down; returns the bars."""
    bars = []
    print(machine.about(build, ROOT), flush=True)
    for name, cases in parts.items():
        module, title = PARTS[name]
        begun, context = time.monotonic(), Context(build, arguments.quick, cases)
        with context.cleanup:
            result = module.run(context)
        if arguments.markdown:
            how = " (quick)" if arguments.quick else ""
            tables.replace_blocks(arguments.markdown, {name: f"{machine.about(build, ROOT)}{how}\n\n{result.text}"})
        bars += result.bars
        print(f"\n## {title}\n\n{result.text}\n", flush=True)
        progress(f"{name}: {time.monotonic() - begun:.0f} s, load {machine.load()}")
    return bars


def check(document, parts):
    """Before an hour is spent on it."""
    try:
        tables.check_blocks(document, ["bars", *parts])
    except (OSError, ValueError) as error:
        fail(f"--markdown: {error}")


def main():
    arguments = parse()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # whatever was ignored where this began
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    os.environ["LC_ALL"] = "C.UTF-8"
    for name in [name for name in os.environ if name.startswith("STRAY_") or name == "LD_PRELOAD"]:
        del os.environ[name]
    parts = chosen(arguments.only)
    if arguments.markdown:
        check(arguments.markdown, parts)
    bars = measure(arguments.build.resolve(), arguments, parts)
    if arguments.markdown and not arguments.only:
        tables.replace_blocks(arguments.markdown, {"bars": "\n".join(f"* {bar.line().removeprefix('bar: ')}" for bar in bars)})
    print()
    for bar in bars:
        print(bar.line())


if __name__ == "__main__":
    main()
