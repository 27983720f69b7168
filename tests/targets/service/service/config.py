# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the servers are, from the environment."""
import os

DATABASE_URL = os.environ["DATABASE_URL"]
REDIS_URL = os.environ["REDIS_URL"]
SIGNING_KEY = os.environ.get("SIGNING_KEY", "not a secret outside tests").encode()
POOL_SIZE = 5
