# SPDX-License-Identifier: LGPL-2.1-or-later
"""The probe of the load balancer. Leaks a Redis client a call."""
import redis

from service import config

PROBES = []


def health() -> dict:
    client = redis.Redis.from_url(config.REDIS_URL)
    alive = client.ping()
    PROBES.append(client)
    return {"redis": alive, "probes": len(PROBES)}
