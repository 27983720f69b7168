# SPDX-License-Identifier: LGPL-2.1-or-later
"""One Redis client for the whole service, with one connection."""
import redis

from service import config

_client = None


def start() -> None:
    global _client
    _client = redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(config.REDIS_URL, max_connections=1))


def stop() -> None:
    _client.connection_pool.disconnect()


def remember_visit(page: str) -> int:
    return _client.incr("visits:" + page)
