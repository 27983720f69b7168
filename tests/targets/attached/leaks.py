# SPDX-License-Identifier: LGPL-2.1-or-later
"""Opens a connection to the port of its argument for each line it reads, and never closes any."""
import socket
import sys

kept = []


def leak_one(port):
    connection = socket.socket()
    connection.connect(("127.0.0.1", port))
    kept.append(connection)


for line in sys.stdin:
    leak_one(int(sys.argv[1]))
    print("leaked", flush=True)
