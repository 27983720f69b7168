# SPDX-License-Identifier: LGPL-2.1-or-later
"""Libraries that come by dlopen, functions that are found by dlsym, and objects that are loaded so as to go around us."""
import pathlib

import pytest

from conftest import PYTHON, SOURCES

LIBPQ = "libpq.so.5"
LIBPYTHON = "libpython3.11.so.1.0"


@pytest.fixture(scope="module")
def second_libpq(tmp_path_factory):
    """A libpq as wheels bring it along, which differs from the system's in one word of what it says."""
    original = next(pathlib.Path("/usr/lib").glob(f"*/{LIBPQ}"))
    content = original.read_bytes()
    assert content.count(b"Database-Service\0") == 1
    folder = tmp_path_factory.mktemp("wheel") / "site-packages" / "driver.libs"
    folder.mkdir(parents=True)
    copy = folder / "libpq-0a1b2c3d.so.5"
    copy.write_bytes(content.replace(b"Database-Service\0", b"Database-SErvice\0"))
    return copy


def test_libpq_by_name(stray, target, postgres):
    stray.run([target("target_loading"), "libpq", LIBPQ], env=postgres.env).ok().check()


def test_two_libpqs_by_name(stray, target, postgres, second_libpq):
    stray.run([target("target_loading"), "libpq", LIBPQ, second_libpq], env=postgres.env).ok().check()
    stray.run([target("target_loading"), "libpq", LIBPQ, second_libpq], env=postgres.env, options=["--full"]).ok().check()


def test_loaded_and_unloaded_again_and_again(stray, target):
    stray.run([target("target_loading"), "rounds", LIBPQ, target("target_plugin_one.so")]).ok().check()


@pytest.mark.parametrize("plugin", ["plugin_lazy", "plugin_now"])
@pytest.mark.parametrize("mode", [(), ("lazily",)], ids=["now", "lazily"])
def test_deepbind(stray, target, postgres, plugin, mode):
    command = [target("target_loading"), "plugin", target(f"target_{plugin}.so"), *mode]
    stray.run(command, env=postgres.env).ok().check()


def test_interpreter_that_comes_late(stray, target):
    stray.run([target("target_loading"), "python", LIBPYTHON]).ok().check()


@pytest.mark.parametrize("library", ["system", "copy"])
def test_ctypes(stray, postgres, second_libpq, library):
    """Leaks of a program that has libpq by ctypes are named at its lines."""
    path = LIBPQ if library == "system" else second_libpq
    result = stray.run([PYTHON, SOURCES / "python" / "ctypes_libpq.py", path, 20], env=postgres.env).ok().check()
    for resource in ("pgconn", "connection"):
        assert result.report().finding("leaks", resource, "leaked")["count"] == 20
    result.report().nothing_about("closes", "churn")


def test_php(stray, postgres):
    """Its modules are loaded with RTLD_DEEPBIND, libpq with them."""
    env = {**postgres.env, "CONNINFO": f"dbname={postgres.env['PGDATABASE']}"}
    result = stray.run(["/usr/bin/php", SOURCES / "php" / "connects.php", 12], env=env)
    assert result.status == -9, result.stderr
    books = result.report().process()["resources"]
    for resource in ("pgconn", "connection"):
        assert (books[resource]["opened"], books[resource]["closed"]) == (24, 12), resource
    assert books["pgresult"]["opened"] == 12
