# SPDX-License-Identifier: LGPL-2.1-or-later
"""sockets.py MODE [PORT]: sockets of the standard library and Redis clients, used well and badly.

PORT is a listener that accepts and holds; the Redis server is the one of REDIS_URL.
"""
import os
import socket
import sys
import time

from expect import expect

TIMES = 40
kept = []


def connects(port, keep):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"hello")
    if keep:
        kept.append(connection)
    else:
        connection.close()


def leaks_one_in_four(port):
    for n in range(TIMES):
        connects(port, n % 4 == 0)
    expect("connects", "connection", TIMES, TIMES - TIMES // 4)
    expect("connects", "socket", 0, 0)


def leaks_all(port):
    for _ in range(TIMES):
        connects(port, True)
    expect("connects", "connection", TIMES, 0)


def closes(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"hello")


def closes_all(port):
    for _ in range(15):
        closes(port)
    expect("closes", "connection", 15, 15)


def drops(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"hello")


def drops_all(port):
    for _ in range(30):
        drops(port)
    expect("drops", "connection", 30, 30)


def is_refused():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        client = socket.socket()
        kept.append(client)
        try:
            client.connect(nobody.getsockname())
        except ConnectionRefusedError:
            return
    raise AssertionError("not refused")


def refused(_):
    for _ in range(TIMES):
        is_refused()
    expect("is_refused", "connection", 0, 0)
    expect("is_refused", "socket", 2 * TIMES, TIMES)


def makes_pair():
    kept.append(socket.socketpair())


def pairs(_):
    for _ in range(TIMES):
        makes_pair()
    expect("makes_pair", "socket", 2 * TIMES, 0)
    expect("makes_pair", "connection", 0, 0)


def copies(port):
    original = socket.create_connection(("127.0.0.1", port))
    for n in range(TIMES):
        duplicate(original, n)
    expect("duplicate", "connection", TIMES, TIMES // 2)
    expect("copies", "connection", 1, 0)
    kept.append(original)


def duplicate(original, n):
    copy = os.dup(original.fileno())
    if n % 2:
        os.close(copy)


def accepts(listener):
    connection, _ = listener.accept()
    return connection


def asks(address):
    return socket.create_connection(address)


def server(_):
    listener = socket.create_server(("127.0.0.1", 0))
    for n in range(TIMES):
        client = asks(listener.getsockname())
        served = accepts(listener)
        client.close()
        if n % 4:
            served.close()
        else:
            kept.append(served)
    expect("asks", "connection", TIMES, TIMES)
    expect("accepts", "connection", TIMES, TIMES - TIMES // 4)


def hangs_up(_):
    """The other side has closed long ago; nobody here has noticed."""
    listener = socket.create_server(("127.0.0.1", 0))
    for _ in range(12):
        kept.append(asks(listener.getsockname()))
        accepts(listener).close()
    end = time.monotonic() + 4
    while time.monotonic() < end:
        os.close(os.dup(listener.fileno()))
        time.sleep(0.05)
    expect("asks", "connection", 12, 0)
    expect("accepts", "connection", 12, 12)


def called_first(port):
    """One endpoint after the other: all leaks come early, other work follows."""
    for _ in range(7):
        connects(port, True)
    for _ in range(200):
        closes(port)
    expect("connects", "connection", 7, 0)
    expect("closes", "connection", 200, 200)


def opens(port):
    return socket.create_connection(("127.0.0.1", port))


def pool_of_five(port):
    """Each greets when opened; what came back last is handed out again."""
    pool = []
    for _ in range(5):
        pool.append(opens(port))
        pool[-1].sendall(b"hello")
    for _ in range(200):
        connection = pool.pop(2)
        connection.sendall(b"hello")
        time.sleep(0.001)
        pool.insert(2, connection)
    kept.append(pool)
    expect("opens", "connection", 5, 0)


def leaks_client():
    import redis
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.ping()
    kept.append(client)


def closes_client():
    import redis
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.ping()
    client.connection_pool.disconnect()


def redis_clients(_):
    for n in range(TIMES):
        leaks_client()
        if n % 3 == 0:
            closes_client()
    expect("leaks_client", "connection", TIMES, 0)
    expect("closes_client", "connection", 14, 14)


if __name__ == "__main__":
    {
        "leaks_one_in_four": leaks_one_in_four, "leaks_all": leaks_all, "closes_all": closes_all, "drops_all": drops_all,
        "refused": refused, "pairs": pairs, "copies": copies, "server": server, "hangs_up": hangs_up, "redis_clients": redis_clients,
        "called_first": called_first, "pool_of_five": pool_of_five,
    }[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    # Straight out: what the interpreter's end would close is a matter of its own.
    os._exit(0)
