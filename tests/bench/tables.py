# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables as Markdown, which is readable on a terminal as well; bars with what was measured; blocks of a document."""
import dataclasses


def table(header, rows):
    """The first column is text, the others are figures."""
    cells = [list(map(str, row)) for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    rule = "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths))
    lines = ["| " + " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))) + " |" for row in cells]
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def percent(share):
    return f"{100 * share:+.1f} %"


def percents(spread):
    """A median and, in brackets, its quartiles."""
    return f"{percent(spread.median)} ({100 * spread.low:+.1f} to {100 * spread.high:+.1f})"


@dataclasses.dataclass(frozen=True)
class Bar:
    what: str
    measured: str
    wanted: str
    met: bool

    def line(self):
        return f"bar: {self.what}: {self.measured} ({self.wanted}): {'met' if self.met else 'not met'}"


def at_most(what, measured, limit, form):
    """A bar that is met up to its limit; `form` makes text of both."""
    return Bar(what, form(measured), f"at most {form(limit)}", measured <= limit)


def markers(name):
    return f"<!-- measured: {name} -->", f"<!-- end of {name} -->"


def check_blocks(path, names):
    """Raises ValueError unless the markers of each name stand there once."""
    document = path.read_text(encoding="utf-8")
    for marker in [marker for name in names for marker in markers(name)]:
        if document.count(marker) != 1:
            raise ValueError(f"{path}: {marker} does not stand there once")


def replace_blocks(path, blocks):
    """Puts each text between the two markers of its name. What stands outside them is nobody's business here."""
    document = path.read_text(encoding="utf-8")
    for name, text in blocks.items():
        begin, end = markers(name)
        before, _, rest = document.partition(begin)
        document = f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"
    path.write_text(document, encoding="utf-8")
