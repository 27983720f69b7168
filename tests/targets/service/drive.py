#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sends 200 requests to the service and prints, as JSON, what a tracer must have seen of it.

    drive.py PORT [--canary WORD] [--wait SECONDS]

The mix is fixed: request i goes over keep-alive connection i modulo 4, so every count is exact whatever the timing.
A canary is a word that travels inside tokens, and so inside statements: no trace may hold it.
Exits 1 when the service answers anything but what it should.
"""
import argparse
import base64
import hashlib
import hmac
import http.client
import json
import os
import sys
import threading
import time

WORKERS = 4
MIX = {
    # kind: (how many, method, path of the n-th, authenticated, status of the n-th)
    "health": (40, "GET", lambda n: "/health", False, lambda n: 200),
    "visits": (45, "GET", lambda n: "/visits", False, lambda n: 200),
    "me": (50, "GET", lambda n: "/me", True, lambda n: 200),
    "forged": (10, "GET", lambda n: "/me", True, lambda n: 401),
    "revoke": (25, "DELETE", lambda n: f"/sessions/session-{n}", True, lambda n: 200),
    "revoke_missing": (15, "DELETE", lambda n: f"/sessions/gone-{n}", True, lambda n: 404),
    "research": (15, "GET", lambda n: "/research/" + ("x" if n == 14 else str(n)), True,
                 lambda n: 422 if n == 14 else 404 if n > 9 else 200),
}


def count(*kinds):
    return sum(MIX[kind][0] for kind in kinds)


def expected():
    authenticated = sum(how_many for how_many, _, _, needs_token, _ in MIX.values() if needs_token)
    return {
        "requests": sum(row[0] for row in MIX.values()),
        "http_connections": WORKERS + 1,  # one that waited for the start
        "postgres_connections": authenticated + count("revoke", "revoke_missing", "research") + 5,
        "redis_connections": count("health") + 1,
        "functions": {
            "validate_jwt": {"opened": authenticated, "leaked": authenticated, "postgres": True},
            "revoke_session": {"opened": count("revoke", "revoke_missing"), "leaked": count("revoke_missing"), "postgres": True},
            "health": {"opened": count("health"), "leaked": count("health"), "postgres": False},
            "get_research_status": {"opened": count("research"), "leaked": 0, "postgres": True},
            "start": {"opened": 5, "leaked": 0, "postgres": True},
            "remember_visit": {"opened": 1, "leaked": 0, "postgres": False},
        },
    }


def make_token(name, session, forged):
    key = os.environ.get("SIGNING_KEY", "not a secret outside tests").encode()
    payload = base64.urlsafe_b64encode(json.dumps({"sub": name, "sid": session}).encode())
    signature = hmac.new(b"another key" if forged else key, payload, hashlib.sha256).hexdigest()
    return payload.decode() + "." + signature


def requests(canary):
    """All requests, kinds mixed evenly: the n-th of k is placed at (n + 0.5) / k."""
    placed = []
    for kind, (how_many, method, path, authenticated, status) in MIX.items():
        for n in range(how_many):
            headers = {}
            if authenticated:
                headers["Authorization"] = "Bearer " + make_token(f"user-{n % 10}", canary, kind == "forged")
            placed.append(((n + 0.5) / how_many, kind, n, method, path(n), headers, status(n)))
    placed.sort(key=lambda row: row[:3])
    return placed


def work(port, mine, wrong):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for _, kind, n, method, path, headers, status in mine:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            body = response.read()
            if response.status != status:
                wrong.append(f"{kind} {n}: {response.status}, not {status}: {body[:200]!r}")
            if response.will_close:
                wrong.append(f"{kind} {n}: the service does not keep connections alive")
    except (OSError, http.client.HTTPException) as error:
        wrong.append(f"connection lost: {error!r}")
    finally:
        connection.close()


def wait_until_ready(port, seconds):
    """Connects until the service listens: the first connection that is accepted is the only one made."""
    end = time.monotonic() + seconds
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/openapi.json")
            return connection.getresponse().status == 200
        except ConnectionRefusedError:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        finally:
            connection.close()


def main():
    parser = argparse.ArgumentParser(description="send 200 requests to the service")
    parser.add_argument("port", type=int)
    parser.add_argument("--canary", default="a-session")
    parser.add_argument("--wait", type=float, default=30, help="seconds for the service to come up")
    arguments = parser.parse_args()
    if not wait_until_ready(arguments.port, arguments.wait):
        sys.exit("drive.py: the service did not come up")
    everything = requests(arguments.canary)
    wrong = []
    threads = [threading.Thread(target=work, args=(arguments.port, everything[first::WORKERS], wrong)) for first in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        sys.exit("drive.py: " + "\n".join(wrong))
    print(json.dumps(expected()))


if __name__ == "__main__":
    main()
