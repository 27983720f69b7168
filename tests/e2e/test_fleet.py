# SPDX-License-Identifier: LGPL-2.1-or-later
"""A thousand traces of a hundred hosts: one report of all, and one database, as docs/FLEET.md says."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import PYTHON, ROOT, bare

HOSTS, PROCESSES, INSTALLATIONS = 100, 10, 5
PAGE = (ROOT / "docs" / "FLEET.md").read_text()


class Fleet:
    """What was run, and the truth about it."""

    def __init__(self, folder):
        self.folder = folder
        self.leaked = {}  # host: number, only of those that leak
        self.churned = 0

    def hosts(self):
        return sorted(path for path in self.folder.iterdir() if path.is_dir())


def leaks_of(host, process):
    """Two hosts in three leak, each another number."""
    return 0 if host % 3 == 0 else 10 + host % 7 + process


@pytest.fixture(scope="module")
def fleet(stray, target, tmp_path_factory):
    base = tmp_path_factory.mktemp("fleet")
    made = Fleet(base / "traces")
    made.folder.mkdir()
    programs = []
    for number in range(INSTALLATIONS):
        (base / f"v{number}").mkdir()
        programs.append(shutil.copy(target("target_member"), base / f"v{number}" / "service"))

    def run_host(host):
        home = base / f"home-{host}"
        home.mkdir()
        for process in range(PROCESSES):
            command = stray.command(made.folder / f"web-{host:03}", [programs[host % INSTALLATIONS], "db", leaks_of(host, process), 40], ["--force"])
            subprocess.run(command, cwd=home, check=True, stdout=subprocess.DEVNULL, timeout=120)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(run_host, range(HOSTS)))
    for host in range(HOSTS):
        count = sum(leaks_of(host, process) for process in range(PROCESSES))
        if count:
            made.leaked[f"web-{host:03}"] = count
        made.churned += 40 * PROCESSES
    yield made
    shutil.rmtree(base)


def test_places_are_summed_over_hosts_wherever_the_program_lies(stray, fleet):
    report = stray.report(*fleet.hosts())
    assert report.trace["runs"] == HOSTS and len(report.processes) == HOSTS * PROCESSES
    leak = report.finding("leaks", "connection", "leaked")
    assert (leak["count"], leak["runs"], leak["peer"]) == (sum(fleet.leaked.values()), len(fleet.leaked), "unix:db")
    assert leak["evidence"]["opened"] == leak["count"]
    (closes,) = [site for site in report.json["sites"] if site["site"]["function"] == "closes" and site["resource"] == "connection"]
    assert (closes["opened"], closes["closed"], closes["runs"]) == (fleet.churned, fleet.churned, HOSTS)
    text = stray.call("report", *fleet.hosts()).stdout
    assert f"1 000 processes of {HOSTS} folders" in text.replace("1000", "1 000") and f"in {len(fleet.leaked)} of {HOSTS} folders" in text


def peak_kib(stray, arguments):
    """The largest resident memory of one report. Asked by a small process: before its exec a child has its parent's size."""
    script = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
              "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    done = bare([PYTHON, "-S", "-c", script, stray.path, "report", "--format", "json", "--all", *arguments])
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_memory_does_not_grow_with_traces(stray, fleet):
    """But by what the report says of each process."""
    few, all_of_them = peak_kib(stray, fleet.hosts()[:10]), peak_kib(stray, fleet.hosts())
    assert all_of_them - few < 900 * 32, f"{few} KiB with 100 traces, {all_of_them} KiB with 1000"


def blocks(language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)
    assert found
    return found


def psql(postgres, schema, *arguments, cwd=None):
    binary = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql"))[-1]
    done = bare([binary, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments], env={**postgres.env, "PGOPTIONS": f"-csearch_path={schema}"}, cwd=cwd)
    return done


@pytest.fixture(scope="module")
def loaded(stray, fleet, postgres):
    """The name of the schema with all of it, loaded by the commands of the page."""
    base = fleet.folder.parent
    (base / "tables").mkdir()

    def export(host):
        done = stray.call("export", host, "--to", "tsv", "--label", host.name, "--resource", "connection,pgconn,heap", "-o", base / "tables" / host.name)
        assert done.returncode == 0, done.stderr

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(export, fleet.hosts()))
    assert psql(postgres, "public", "-c", "CREATE SCHEMA fleet").returncode == 0
    bin_folder = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    for script in blocks("sh"):
        done = bare(["bash", "-euo", "pipefail", "-c", script], cwd=base,
                    env={**postgres.env, "PGOPTIONS": "-csearch_path=fleet", "PATH": f"{bin_folder}:{os.environ['PATH']}"})
        assert done.returncode == 0, done.stderr
    return "fleet"


def test_postgresql_says_which_line_leaks_on_most_hosts(fleet, postgres, loaded):
    answers = []
    for query in blocks("sql"):
        done = psql(postgres, loaded, "-c", f"SELECT coalesce(json_agg(t), '[]') FROM ({query.strip().rstrip(';')}) t")
        assert done.returncode == 0, f"{query}\n{done.stderr}"
        answers.append(json.loads(done.stdout))
    lines, hosts, left, without = answers
    assert [(row["function"], row["resource"], row["hosts"], row["leaked"]) for row in lines] == \
        [("leaks", "connection", len(fleet.leaked), sum(fleet.leaked.values()))]
    worst = sorted(fleet.leaked.values(), reverse=True)[:20]
    assert [row["count"] for row in hosts] == worst and all(fleet.leaked[row["label"]] == row["count"] for row in hosts)
    (row,) = [row for row in left if row["function"] == "leaks" and row["resource"] == "connection"]
    assert (row["opened"], row["left_open"], row["percent"]) == (sum(fleet.leaked.values()),) * 2 + (100.0,)
    innocent = sorted(f"web-{host:03}" for host in range(HOSTS) if f"web-{host:03}" not in fleet.leaked)
    assert [row["label"] for row in without] == innocent[:20]


def test_a_label_is_not_loaded_twice(fleet, postgres, loaded):
    folder = fleet.folder.parent / "tables" / "web-001"
    done = psql(postgres, loaded, "-1", "-f", "schema.postgresql.sql", cwd=folder)
    assert done.returncode != 0 and "duplicate key" in done.stderr


def test_clickhouse_query_names_columns_there_are(fleet, loaded):
    (query,) = re.findall(r"^    (SELECT function, any\(.*?LIMIT 20)$", PAGE, re.M | re.S)
    schema = (fleet.folder.parent / "tables" / "web-000" / "schema.clickhouse.sql").read_text()
    (body,) = re.findall(r"TABLE IF NOT EXISTS stray_finding \((.*?)\n\) ENGINE", schema, re.S)
    columns = set(re.findall(r"`(\w+)`", body))
    words = set(re.findall(r"\b[a-z_]+\b", re.sub(r"'[^']*'|AS \w+", "", query))) - {"any", "sum", "stray_finding", "hosts", "leaked"}
    assert words <= columns, words - columns


def test_python_is_the_same_code_wherever_it_lies(stray, tmp_path):
    code = "import os\nkept = []\n\ndef forgets():\n    kept.append(os.open('/dev/null', os.O_RDONLY))\n\nfor _ in range(40):\n    forgets()\n"
    folders = []
    for name in ("opt", "srv"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.py").write_text(code)
        folders.append(stray.run([PYTHON, tmp_path / name / "job.py"], cwd=tmp_path).ok().trace)
    report = stray.report(*folders)
    (site,) = [site for site in report.json["sites"] if site["site"]["function"] == "forgets" and site["resource"] == "file"]
    assert (site["opened"], site["runs"]) == (80, 2)


def test_two_copies_in_one_process_stay_two(stray, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "copied.py").write_text("import os\n\ndef opens():\n    return os.open('/dev/null', os.O_RDONLY)\n")
    (tmp_path / "main.py").write_text("import runpy\na, b = (runpy.run_path(f'{name}/copied.py') for name in 'ab')\nkept = [each['opens']() for each in (a, b) for _ in range(8)]\n")
    traces = [stray.run([PYTHON, "main.py"], cwd=tmp_path).ok().trace for _ in range(2)]
    for count, given in ((1, traces[:1]), (2, traces)):
        sites = [site for site in stray.report(*given).json["sites"] if site["site"]["function"] == "opens" and site["resource"] == "file"]
        assert sorted(site["opened"] for site in sites) == [8 * count, 8 * count]
