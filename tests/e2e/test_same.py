# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same trace gives the same report, byte for byte, whoever asks, wherever and however often."""
import os
import subprocess

import pytest

from conftest import PYTHON, SOURCES

FORMS = {
    "text": ["report", "-v", "--all"],
    "json": ["report", "--format", "json", "--all"],
    "sites": ["sites"],
    "conns": ["conns"],
    "check": ["check", "--format", "sarif"],
}
SURROUNDINGS = {
    "time_zone": {"TZ": "Asia/Kolkata"},
    "locale": {"LC_ALL": "C", "LANG": "tr_TR.UTF-8", "LANGUAGE": "tr"},
    "memory": {"MALLOC_PERTURB_": "165", "MALLOC_ARENA_MAX": "1", "MALLOC_TOP_PAD_": "1000000"},
    "terminal": {"COLUMNS": "60", "TERM": "dumb", "NO_COLOR": "1", "HOME": "/nonexistent"},
}


@pytest.fixture(scope="module")
def trace(stray, redis, tmp_path_factory):
    """Several processes, threads, connections that leak, small objects of which only samples were taken."""
    folder = tmp_path_factory.mktemp("same")
    result = stray.run([PYTHON, SOURCES / "python" / "truths_handles.py", "sessions", folder], env=redis.env).ok()
    more = stray.run([PYTHON, SOURCES / "python" / "truths_healthy.py", "executors", folder]).ok()
    child = stray.run(["sh", "-c", "ls -l / | sort; true"]).ok()
    for path in [*more.files(), *child.files()]:
        path.rename(result.trace / path.name)
    return result.trace


@pytest.fixture(scope="module")
def told(stray, trace):
    return {form: stray.call(verb, trace, *options).stdout for form, (verb, *options) in FORMS.items()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("env", SURROUNDINGS.values(), ids=SURROUNDINGS.keys())
def test_surroundings_do_not_matter(stray, trace, told, form, env):
    verb, *options = FORMS[form]
    assert told[form]
    assert stray.call(verb, trace, *options, env={**os.environ, **env}, cwd="/").stdout == told[form]


@pytest.mark.parametrize("form", FORMS)
def test_addresses_do_not_matter(stray, trace, told, form):
    """Each call has its own; one without randomisation has others."""
    verb, *options = FORMS[form]
    for _ in range(2):
        assert stray.call(verb, trace, *options).stdout == told[form]
    done = subprocess.run(["setarch", "-R", stray.path, verb, trace, *options], stdout=subprocess.PIPE, text=True)
    assert done.stdout == told[form]


@pytest.mark.parametrize("form", ["json", "sites", "conns"])
def test_the_order_of_files_does_not_matter(stray, trace, form):
    verb, *options = FORMS[form]
    files = sorted(trace.glob("*.stray"))
    assert len(files) > 2
    texts = {stray.call(verb, *order, *options).stdout.replace(" ".join(map(str, order)), "FILES") for order in (files, files[::-1])}
    assert len(texts) == 1
