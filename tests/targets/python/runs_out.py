# SPDX-License-Identifier: LGPL-2.1-or-later
"""runs_out.py PORT LIMIT TIMES: opens connections that are used once and kept, until a good part of the descriptors is gone."""
import resource
import socket
import sys
import time

from expect import expect

kept = []


def leaks_a_connection(port):
    client = socket.create_connection(("127.0.0.1", port))
    client.send(b"once")
    kept.append(client)


port, limit, times = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
for _ in range(times):
    leaks_a_connection(port)
    time.sleep(0.002)
expect("leaks_a_connection", "connection", times, times)  # the interpreter closes them as it ends
