# SPDX-License-Identifier: LGPL-2.1-or-later
"""Blocks that libpq and the libraries below it allocate have the stack of the call of libpq: the same is counted at the same lines as
with each block's own stack (--full), and what libpq calls back keeps its own."""
import functools

import pytest

from conftest import BUILD, PYTHON, SOURCES

KEYS = ("opened", "closed", "open", "bytes_open")
# Kerberos looks for its settings once a second: how often it allocates depends on the time.
ENVIRONMENT = {"PGGSSENCMODE": "disable", "STRAY_PYTHON_MEMORY": "off", "PYTHONHASHSEED": "0"}
C_SITES = ("by_connectdb", "by_kept_connectdb", "by_connectStart", "by_connectPoll", "by_exec", "by_escape", "by_noticed_malloc",
           "by_noticed_strdup", "by_noticed_escape", "on_notice", "after_jump", "by_later_connectdb")
PYTHON_SITES = ("connect", "keep_connection", "on_notice", "on_digest")
OPENSSL = ("CRYPTO_", "EVP_", "OPENSSL_", "libcrypto")
TARGETS = {
    "c": ([BUILD / "tests" / "targets" / "traced" / "target_beneath"], C_SITES),
    "digests": ([BUILD / "tests" / "targets" / "traced" / "target_beneath_digests"], C_SITES),
    "psycopg2": ([PYTHON, SOURCES / "python" / "beneath.py", "psycopg2"], PYTHON_SITES),
    "psycopg": ([PYTHON, SOURCES / "python" / "beneath.py", "psycopg"], PYTHON_SITES),
}


@pytest.fixture(scope="module")
def both(stray, postgres):
    """A target's run without --full and one with it, each made once."""
    @functools.cache
    def run(name):
        return [stray.run(TARGETS[name][0], env={**postgres.env, **ENVIRONMENT}, options=options).ok().check()
                for options in ((), ("--full",))]
    return run


def heap_of(result, functions):
    """By blamed function what was counted of the heap."""
    report = result.report()
    return {function: {key: report.sum(function, "heap")[key] for key in KEYS} for function in functions}


def stacks_of(stray, result, function):
    """Of the heap blocks acquired below it, as names of functions from the outermost on."""
    done = stray.call("export", result.trace, "--to", "folded", "--weight", "opened")
    assert done.returncode == 0, done.stderr
    stacks = [[frame.split(" (")[0] for frame in line.rsplit(" ", 1)[0].split(";")]
              for line in done.stdout.splitlines() if line.startswith("heap;")]
    return [stack for stack in stacks if function in stack]


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_is_counted_at_the_same_lines(both, name):
    few, each = (heap_of(result, TARGETS[name][1]) for result in both(name))
    assert few == each
    assert max(row["opened"] for row in few.values()) > 2 * 20000, "the server does not ask for a password by SCRAM"


def test_a_connection_that_is_kept_has_its_memory(both):
    for result in both("c"):
        assert result.report().sum("by_kept_connectdb", "heap")["bytes_open"] > 2 * 10000


def test_the_call_stands_for_what_lies_beneath(stray, both):
    few, each = both("c")
    stacks = stacks_of(stray, few, "by_connectdb")
    assert "PQconnectdb" in {stack[-1] for stack in stacks}
    assert not any(stack[-1].startswith(OPENSSL) for stack in stacks), stacks
    assert len(stacks) * 5 < len(stacks_of(stray, each, "by_connectdb"))
    assert [stack[-1] for stack in stacks_of(stray, few, "by_escape")] == ["PQescapeLiteral"]


def test_who_links_openssl_himself_has_its_stacks(stray, both):
    """It might be he who calls it, from a callback."""
    stacks = stacks_of(stray, both("digests")[0], "by_connectdb")
    assert any(stack[-1].startswith(OPENSSL) for stack in stacks)


def test_who_loads_a_library_with_openssl_has_its_stacks(stray, postgres):
    traced = BUILD / "tests" / "targets" / "traced"
    result = stray.run([traced / "target_beneath", traced / "target_digests_plugin.so"], env={**postgres.env, **ENVIRONMENT}).ok().check()
    assert any(stack[-1].startswith(OPENSSL) for stack in stacks_of(stray, result, "digest_new"))


def test_threads_that_take_over_addresses_are_counted_exactly(stray, postgres):
    """Beneath a call of libpq the counter is not read for each block: an address that another thread gave up a moment before has to
    keep its owners in order all the same."""
    few, each = (stray.run([BUILD / "tests" / "targets" / "traced" / "target_beneath_threads"], options=options,
                           env={**postgres.env, **ENVIRONMENT, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}).ok().check()
                 for options in ((), ("--full",)))
    assert heap_of(few, ("by_connectdb", "by_exec")) == heap_of(each, ("by_connectdb", "by_exec"))
    assert [result.report().process()["resources"]["heap"]["unknown_closed"] for result in (few, each)] == [0, 0]
