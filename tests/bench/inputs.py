# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the measured programs read, made the same on every machine."""
import subprocess

FUNCTION = """
struct record_{0} {{ int key; double weight; char name[{1}]; struct record_{0} *next; }};
static int weigh_{0}(const struct record_{0} *at, int limit)
{{
    double sum = 0;
    for (int i = 0; at && i < limit; i++, at = at->next) {{
        switch (at->key % 7) {{
        case 0: sum += at->weight * {0}; break;
        case 1: sum -= at->name[i % {1}] * 0.5; break;
        case {2}: continue;
        default: sum = sum > {0} ? sum / 2 : sum + at->key;
        }}
        if (sum < 0 && at->next && at->next->key > at->key)
            sum = -sum;
    }}
    return (int)sum;
}}
int best_{0}(struct record_{0} *list, int count)
{{
    int best = 0;
    for (int i = 0; i < count; i++) {{
        int now = weigh_{0}(&list[i], count - i);
        best = now > best ? now : best;
        list[i].weight = now * 0.25 + list[(i + {2}) % count].weight;
    }}
    return best;
}}
"""


def large_c(folder, functions):
    source = folder / "large.c"
    source.write_text("".join(FUNCTION.format(i, 8 + i % 24, 2 + i % 5) for i in range(functions)), encoding="utf-8")
    return source


def preprocessed(folder, source):
    """The headers of C++ make a large file of a small one."""
    target = folder / "large.ii"
    subprocess.run(["g++", "-E", source, "-o", target], check=True)
    return target


def commits(count):
    """A history of changes to 40 files, for git fast-import."""
    for i in range(count):
        name, lines = f"folder{i % 8}/file{i * 7 % 40}.txt", [f"line {j}: {(j * 31 + i // 40 * (j % 9 == i % 9)) % 1009}" for j in range(60)]
        text, message = "\n".join(lines) + "\n", f"Change {name} for the {i}th time\n\nIt says why at some length.\n"
        yield (f"commit refs/heads/main\ncommitter Someone <someone@example.org> {1_600_000_000 + 600 * i} +0000\n"
               f"data {len(message)}\n{message}\nM 644 inline {name}\ndata {len(text)}\n{text}\n")


def history(folder, count):
    """A git repository with that many commits."""
    repository = folder / "history"
    subprocess.run(["git", "init", "-q", "--initial-branch=main", repository], check=True)
    subprocess.run(["git", "-C", repository, "fast-import", "--quiet"], input="".join(commits(count)), text=True, check=True)
    return repository
