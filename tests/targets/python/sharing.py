# SPDX-License-Identifier: LGPL-2.1-or-later
"""sharing.py MODE: connections of Python programs that fork, and descriptors that come with messages."""
import multiprocessing
import os
import socket
import sys

kept = []
context = multiprocessing.get_context("fork")


def opens():
    import psycopg2
    return psycopg2.connect("")


def asks(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def run(function, *arguments):
    """In a child of multiprocessing."""
    child = context.Process(target=function, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == 0


def both():
    connection = opens()
    asks(connection)
    child = os.fork()
    if child == 0:
        asks(connection)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    asks(connection)


def in_child_only():
    connection = opens()
    run(asks, connection)
    kept.append(connection)


def opens_and_asks():
    connection = opens()
    asks(connection)
    connection.close()


def each_its_own():
    """The parent keeps one, and its children never touch it."""
    connection = opens()
    asks(connection)
    for _ in range(3):
        run(opens_and_asks)
    asks(connection)
    connection.close()


def sends(queue, number):
    queue.put(number)


def by_queues():
    """Pipes, queues and managers of multiprocessing are meant to be shared."""
    queue = context.Queue()
    ours, theirs = context.Pipe()
    with multiprocessing.Manager() as manager:
        shared = manager.list()
        for number in range(3):
            run(sends, queue, number)
            run(theirs.send, number)
            run(shared.append, number)
        assert sorted(queue.get() for _ in range(3)) == [0, 1, 2]
        assert [ours.recv() for _ in range(3)] == [0, 1, 2]
        assert sorted(shared) == [0, 1, 2]


def receives(channel):
    _, descriptors, _, _ = socket.recv_fds(channel, 1, 8)
    return descriptors


def messages():
    from expect import expect
    ours, theirs = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    for _ in range(3):
        with open("/dev/null") as file:
            socket.send_fds(ours, [b"x"], [client.fileno(), server.fileno(), listener.fileno(), file.fileno()])
        descriptors = receives(theirs)
        os.close(descriptors[0])
        os.close(descriptors[3])
        kept.append(descriptors)
    expect("receives", "connection", 6, 3)
    expect("receives", "socket", 3, 0)
    expect("receives", "file", 3, 3)


if __name__ == "__main__":
    {"both": both, "in_child_only": in_child_only, "each_its_own": each_its_own, "by_queues": by_queues,
     "messages": messages}[sys.argv[1]]()
    os._exit(0)
