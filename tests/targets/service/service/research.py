# SPDX-License-Identifier: LGPL-2.1-or-later
"""Looks as if it leaked, and does not: four ways out, and the connection is closed on each."""
import psycopg2

from service import config


class Unknown(Exception):
    pass


class Malformed(Exception):
    pass


def get_research_status(identifier: str) -> str:
    connection = psycopg2.connect(config.DATABASE_URL)
    cursor = connection.cursor()
    try:
        cursor.execute("SELECT status FROM research WHERE id = %s::integer", (identifier,))
    except psycopg2.DataError as error:
        connection.close()
        raise Malformed(identifier) from error
    row = cursor.fetchone()
    if row is None:
        connection.close()
        raise Unknown(identifier)
    if row[0] == "done":
        connection.close()
        return "done"
    connection.close()
    return "still " + row[0]
