# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that do the same each time, with short lives told in sum and with each as two events: nothing that is counted differs."""
import collections
import re
import subprocess

import pytest

from conftest import BUILD, PYTHON, ROOT

SQL = """
create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) insert into t select i, hex(i * 7919) from n;
create index x on t(b);
select count(*), sum(a) from t where b like '3%';
select length(group_concat(b)) from (select b from t order by b limit 500);
"""
PERL = """
my %h;
for my $i (1..20000) {
    my @w = split /,/, join(",", $i, $i * 7, $i * 13);
    $h{$w[1] % 500} .= $w[2];
    delete $h{$i % 400};
}
print length(join "", map {$h{$_}} sort keys %h), "\n";
"""
JSON = """
import json
d = [{"n": i, "s": "x" * (i % 700), "l": list(range(i % 50))} for i in range(400)]
for _ in range(3):
    d = json.loads(json.dumps(d))
print(len(d))
"""


def compiler():
    """The C compiler proper, on something that is large once its headers are in."""
    def output(*arguments):
        return subprocess.run(["gcc", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [output("-print-prog-name=cc1").strip(), "-quiet", "-O2", "-o", "/dev/null", "-"], \
        output("-E", ROOT / "tests" / "bench" / "malloc_pairs.c")


PROGRAMS = {
    "sqlite3": lambda: (["sqlite3", ":memory:"], SQL),
    "perl": lambda: (["perl", "-e", PERL], ""),
    "python": lambda: ([PYTHON, "-S", "-P", "-c", JSON], ""),
    "zstd": lambda: (["zstd", "-q", "-o", "/dev/null", "-f", "-12"], PERL * 2000),
    "cc1": compiler,
}


# The compiler has a table for each 16 MiB of addresses that its own heap comes to: how many, and for whom it makes them, depends on
# what else is mapped, and --full maps less. They are never released.
TABLES = re.compile(r"^heap;.*ggc_internal_alloc;[^;]*;xcalloc$")


def totals(stray, trace):
    """Of each site, what it opened, closed and left open; of each stack, what it opened and left open in bytes."""
    found = collections.Counter()
    for row in stray.report(trace).json["sites"]:
        for key in ("opened", "closed", "open", "bytes_open"):
            found[row["resource"], row["site"]["function"], key] += row.get(key, 0)
    for weight, keys in (("opened", ("opened", "open")), ("bytes", ("bytes_open",))):
        done = stray.call("export", trace, "--to", "folded", "--weight", weight)
        assert done.returncode == 0, done.stderr
        for line in done.stdout.splitlines():
            stack, count = line.rsplit(" ", 1)
            if not TABLES.match(stack):
                found[weight, stack] += int(count)
                continue
            for key in keys:
                found["heap", "xcalloc", key] -= int(count)
    return found


def run_alike(stray, command, text, folder):
    """Without --full and with it. Some programs copy their environment, in which the process id and the setting are named: by
    names as long as each other."""
    while True:
        few, each = (stray.run(["setarch", "--addr-no-randomize", *command], input=text, cwd=folder, env={
            "STRAY_FULL": full, "STRAY_PYTHON_MEMORY": "off", "PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0", "PERL_HASH_SEED": "0",
        }).ok() for full in "01")
        if len(str(few.pid)) == len(str(each.pid)) and len(str(few.trace)) == len(str(each.trace)):
            return few, each


@pytest.mark.parametrize("name", PROGRAMS)
def test_totals_are_the_same_either_way(stray, tmp_path, name):
    few, each = run_alike(stray, *PROGRAMS[name](), tmp_path)
    assert few.stdout == each.stdout
    told, wanted = totals(stray, few.trace), totals(stray, each.trace)
    assert {key: (told[key], wanted[key]) for key in told | wanted if told[key] != wanted[key]} == {}
    assert sum(count for key, count in told.items() if key[0] == "heap" and key[-1] == "opened") > 50
    short, long = (stray.call("dump", *result.files()).stdout.count("\n") for result in (few, each))
    assert short < long


@pytest.mark.parametrize("turn", range(4))
def test_a_ring_is_told_in_sum(stray, turn):
    """A thousand blocks that are there at one time fit a lane, wherever the allocator was mapped."""
    pairs = 100000
    result = stray.run([BUILD / "tests" / "bench" / "bench_malloc_pairs", 5, 1, pairs, "ring"]).ok()
    assert result.report().json["processes"][0]["resources"]["heap"]["opened"] >= pairs
    assert stray.call("dump", *result.files()).stdout.count("\n") < pairs / 10
