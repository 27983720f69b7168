# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debug information that is not here is fetched by build-id from the servers that DEBUGINFOD_URLS names, and from nowhere else."""
import http.server
import re
import shutil
import subprocess
import threading

import pytest

from conftest import bare

MEMBER = "target_member"


class Server(http.server.ThreadingHTTPServer):
    """Serves one file as a debuginfod would; remembers what it was asked for."""

    daemon_threads = True

    def __init__(self, build_id, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.build_id, self.content, self.asked = build_id, content, []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        found = self.path == f"/buildid/{self.server.build_id}/debuginfo"
        self.send_response(200 if found else 404)
        content = self.server.content if found else b""
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def traced(stray, target, tmp_path):
    """A program without debug information, its trace, and what was taken from it."""
    program, debug = tmp_path / "service", tmp_path / "service.debug"
    shutil.copy(target(MEMBER), program)
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["strip", "--strip-all", program], check=True)
    (build_id,) = re.findall(r"Build ID: ([0-9a-f]+)", bare(["readelf", "-n", program]).stdout)
    result = stray.run([program, "socket", 40, 0], cwd=tmp_path).ok()
    content = debug.read_bytes()
    debug.unlink()
    return result.trace, build_id, content


@pytest.fixture
def server(traced):
    server = Server(traced[1], traced[2])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def leak_in(stray, trace, env):
    done = bare([stray.path, "report", trace], env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_a_server_that_is_named_is_asked(stray, traced, server, tmp_path):
    env = {"DEBUGINFOD_URLS": f"http://127.0.0.1:{server.server_port}", "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")}
    assert re.search(r"^    leaks  \S+/member\.c:\d+$", leak_in(stray, traced[0], env), re.M)
    assert f"/buildid/{traced[1]}/debuginfo" in server.asked


def test_a_program_that_is_not_here_is_named_as_well(stray, traced, server, tmp_path):
    """As where a trace is looked at on another machine."""
    (tmp_path / "service").unlink()
    without = leak_in(stray, traced[0], {"DEBUGINFOD_URLS": ""})
    assert "member.c" not in without
    env = {"DEBUGINFOD_URLS": f"http://127.0.0.1:{server.server_port}", "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")}
    assert re.search(r"^    leaks  \S+/member\.c:\d+$", leak_in(stray, traced[0], env), re.M)


def test_no_server_is_asked_unless_named(stray, traced, server, tmp_path):
    text = leak_in(stray, traced[0], {"DEBUGINFOD_URLS": "", "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")})
    assert "member.c" not in text and "service+0x" in text
    assert not server.asked


def test_a_server_that_has_nothing_does_no_harm(stray, traced, server, tmp_path):
    server.build_id = "0" * 40
    text = leak_in(stray, traced[0], {"DEBUGINFOD_URLS": f"http://127.0.0.1:{server.server_port}", "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")})
    assert server.asked and "member.c" not in text and "LEAKED  connection  40" in text
