# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plain queries through the pool."""
from service.database import pooled


def count_accounts() -> int:
    with pooled() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM account")
        return cursor.fetchone()[0]


def count_sessions(owner: str) -> int:
    with pooled() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM session WHERE owner = %s", (owner,))
        return cursor.fetchone()[0]
