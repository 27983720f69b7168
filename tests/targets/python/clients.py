# SPDX-License-Identifier: LGPL-2.1-or-later
"""clients.py MODE: clients of every kind at work. "uses FD N": the descriptor was used at least N times."""
import asyncio
import os
import socket
import ssl
import sys
import tempfile
import threading
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REQUESTS = 5


def uses(fd, count):
    os.write(1, f"uses {fd} {count}\n".encode())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


def serve_http():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def by_urllib():
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", serve_port)
    for _ in range(REQUESTS):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello"
    uses(connection.sock.fileno(), 2 * REQUESTS)


def by_httpx():
    import httpx
    with httpx.Client() as client:
        for _ in range(REQUESTS):
            response = client.get(f"http://127.0.0.1:{serve_port}/")
            assert response.text == "hello"
        stream = response.extensions["network_stream"]
        uses(stream.get_extra_info("socket").fileno(), 2 * REQUESTS)


def by_asyncio():
    async def main():
        reader, writer = await asyncio.open_connection("127.0.0.1", serve_port)
        for _ in range(REQUESTS):
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            await reader.readuntil(b"hello")
        uses(writer.get_extra_info("socket").fileno(), 2 * REQUESTS)
    asyncio.run(main())


def by_redis():
    import redis
    connection = redis.Redis.from_url(os.environ["REDIS_URL"]).connection_pool.get_connection("PING")
    for _ in range(REQUESTS):
        connection.send_command("PING")
        connection.read_response()
    uses(connection._sock.fileno(), 2 * REQUESTS)


def by_psycopg2():
    import psycopg2
    connection = psycopg2.connect("")
    for _ in range(REQUESTS):
        connection.cursor().execute("SELECT 1")
    uses(connection.fileno(), 2 * REQUESTS)


def by_tls():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=here", "-keyout", f"{folder}/key",
                        "-out", f"{folder}/crt"], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        here.load_cert_chain(f"{folder}/crt", f"{folder}/key")
        there = ssl.create_default_context(cafile=f"{folder}/crt")
        there.check_hostname = False
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            with here.wrap_socket(listener.accept()[0], server_side=True) as served:
                for _ in range(REQUESTS):
                    served.sendall(served.recv(5))

        thread = threading.Thread(target=serve)
        thread.start()
        client = there.wrap_socket(socket.create_connection(listener.getsockname()))
        for _ in range(REQUESTS):
            client.sendall(b"hello")
            assert client.recv(5) == b"hello"
        thread.join()
        uses(client.fileno(), 2 * REQUESTS)


def by_datagrams():
    ours, theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    theirs.bind(("127.0.0.1", 0))
    for _ in range(REQUESTS):
        ours.sendto(b"hello", theirs.getsockname())
        assert theirs.recvfrom(5)[0] == b"hello"
    uses(ours.fileno(), REQUESTS)
    uses(theirs.fileno(), REQUESTS)


def by_unix():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0clients-{os.getpid()}")
    listener.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect(listener.getsockname())
    served, _ = listener.accept()
    for _ in range(REQUESTS):
        client.sendall(b"hello")
        assert served.recv(5) == b"hello"
    uses(client.fileno(), REQUESTS)
    uses(served.fileno(), REQUESTS)


if __name__ == "__main__":
    serve_port = serve_http()
    {"urllib": by_urllib, "httpx": by_httpx, "asyncio": by_asyncio, "redis": by_redis, "psycopg2": by_psycopg2, "tls": by_tls,
     "datagrams": by_datagrams, "unix": by_unix}[sys.argv[1]]()
    os._exit(0)
