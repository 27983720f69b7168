# SPDX-License-Identifier: LGPL-2.1-or-later
"""A FastAPI backend over psycopg2, as such are written and without leaks, to be measured under load.

    /rows      twenty rows through a pool, checked and written as JSON
    /fresh     a connection of its own for one query
"""
import os
from contextlib import contextmanager

import psycopg2
from fastapi import FastAPI
from psycopg2.pool import ThreadedConnectionPool
from pydantic import BaseModel

DATABASE_URL = os.environ["DATABASE_URL"]
CONNECTIONS = 8  # more than requests at a time: such a pool closes what it holds beyond its minimum
QUERY = """
    SELECT n, 'name ' || n %% 97, now(), array_agg(m), sum(m) * 1.5
    FROM generate_series(%s, %s + 19) n, generate_series(1, 5) m GROUP BY n ORDER BY n
"""

app = FastAPI()
pool = ThreadedConnectionPool(CONNECTIONS, CONNECTIONS, DATABASE_URL)


class Row(BaseModel):
    id: int
    name: str
    seen: str
    parts: list[int]
    total: float


@contextmanager
def pooled():
    connection = pool.getconn()
    try:
        with connection:
            yield connection
    finally:
        pool.putconn(connection)


def read(connection, first):
    with connection.cursor() as cursor:
        cursor.execute(QUERY, (first, first))
        return [Row(id=n, name=name, seen=seen.isoformat(), parts=parts, total=total) for n, name, seen, parts, total in cursor]


@app.get("/rows", response_model=list[Row])
def rows(first: int = 1):
    with pooled() as connection:
        return read(connection, first)


@app.get("/fresh", response_model=list[Row])
def fresh(first: int = 1):
    connection = psycopg2.connect(DATABASE_URL)
    try:
        return read(connection, first)
    finally:
        connection.close()
