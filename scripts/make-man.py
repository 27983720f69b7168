#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A manual page for each verb, made of what the verb itself says of its use: the two cannot differ.

    scripts/make-man.py STRAY FOLDER

Writes stray-VERB.1 for each line of `STRAY help`. For meson install, `--install FOLDER` is below the prefix.
"""
import os
import pathlib
import re
import subprocess
import sys

DATE = "November 22, 2026"
# An option, two spaces or more, and what it does; after one that is long: its value in capitals and one space.
OPTION = re.compile(r"  (--?[A-Za-z].*?)  +(\S.*)$")
LONG_OPTION = re.compile(r"  (--?[\w-]+(?:, --?[\w-]+)*(?: [A-Z]{2,}\S*)?) (\S.*)$")
BARE_OPTION = re.compile(r"  (--?[A-Za-z]\S*(?: \S+)?)()$")


def said(stray, *arguments):
    return subprocess.run([stray, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def verbs_of(stray):
    """{verb: what it does}"""
    return dict(re.findall(r"^  stray (\w+)\b.*?  +(\S.*)$", said(stray, "help"), re.M))


def escaped(text):
    """As mdoc shows it unchanged; a line a sentence."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in ".'" else line for line in re.sub(r"([.;:]) (?=[A-Z])", r"\1\n", text).split("\n"))


def macro_argument(text):
    return '"' + text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq") + '"'


def option_of(line):
    """(option, text) of a line that begins one; None."""
    match = OPTION.match(line) or BARE_OPTION.match(line) or LONG_OPTION.match(line)
    return [match[1], match[2]] if match else None


def paragraphs(lines):
    """Runs of lines between empty ones; one that is all options is a list of (option, text)."""
    for part in re.split(r"\n\s*\n", "\n".join(lines).strip("\n")):
        rows = part.split("\n")
        if not option_of(rows[0]):
            yield " ".join(row.strip() for row in rows)
            continue
        options = []
        for row in rows:
            option = option_of(row)
            if option:
                options.append(option)
            else:
                options[-1][1] += " " + row.strip()
        yield options


def write_options(out, options):
    out.append(".Bl -tag -width Ds")
    for name, text in options:
        out += [f".It {macro_argument(name)}", escaped(text.strip())]
    out.append(".El")


def page(stray, verb, summary):
    usage = said(stray, verb, "--help") if verb != "help" else f"usage: stray help [VERB]\n\n{said(stray, 'help').partition(chr(10))[0]}\n"
    head, _, rest = usage.partition("\n\n")
    out = [".\\\" Made by scripts/make-man.py from what the program says of itself.", f".Dd {DATE}", f".Dt STRAY-{verb.upper()} 1", ".Os",
           ".Sh NAME", f".Nm stray-{verb}", f".Nd {escaped(summary)}", ".Sh SYNOPSIS"]
    out += [".Li " + macro_argument(line.strip().removeprefix("usage: ")) for line in head.split("\n")]
    out.append(".Sh DESCRIPTION")
    first, exits = True, []
    for part in paragraphs(rest.split("\n")):
        if isinstance(part, str) and "Exit status:" in part:
            before, _, status = part.partition("Exit status:")
            exits.append(status.strip())
            part = before.strip()
            if not part:
                continue
        if not first and isinstance(part, str):
            out.append(".Pp")
        first = False
        if isinstance(part, str):
            out.append(escaped(part))
        else:
            write_options(out, part)
    if exits:
        out += [".Sh EXIT STATUS", escaped(exits[0])]
    out += [".Sh SEE ALSO", ".Xr stray 1"]
    return "\n".join(out) + "\n"


def main():
    stray = pathlib.Path(os.environ.get("MESON_BUILD_ROOT", "."), sys.argv[1]).resolve()
    folder = pathlib.Path(sys.argv[-1])
    if sys.argv[2] == "--install":
        folder = pathlib.Path(os.environ["MESON_INSTALL_DESTDIR_PREFIX"]) / folder
    folder.mkdir(parents=True, exist_ok=True)
    for verb, summary in verbs_of(stray).items():
        (folder / f"stray-{verb}.1").write_text(page(stray, verb, summary))


main()
