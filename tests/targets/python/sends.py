# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of libpq: known numbers of statements, then connections that are closed, or kept until the process is killed.

    sends.py psycopg2|psycopg|sqlalchemy leaks|closes ROUNDS
"""
import importlib
import os
import signal
import sys

client, mode, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
module = importlib.import_module(client)
kept = []


if client == "sqlalchemy":
    engine = module.create_engine("postgresql+psycopg2://", pool_size=2, max_overflow=-1)

    def opens():
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def send(connection, statement, *values):
        names = {f"p{number}": value for number, value in enumerate(values)}
        for name in names:
            statement = statement.replace("%s", f":{name}", 1)
        return connection.execute(module.text(statement), names).fetchall()
else:
    def opens():
        connection = module.connect("")
        connection.autocommit = True
        return connection

    def send(connection, statement, *values):
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall()


def asks(connection):
    return send(connection, "SELECT n FROM generate_series(1, 3) n")


def executes(connection, number):
    return send(connection, "SELECT n FROM generate_series(CAST(%s AS int), CAST(%s AS int)) n WHERE n > 0", number, number + 1)


def fails(connection):
    try:
        send(connection, "SELECT missing")
    except Exception as error:
        assert "missing" in str(error)


first = opens()
for _ in range(4):
    asks(first)
for value in range(1, 7):
    executes(first, value)
fails(first)
first.close()

for _ in range(rounds):
    one = opens()
    send(one, "SELECT 1")
    if mode == "leaks":
        kept.append(one)
    else:
        one.close()
os.kill(os.getpid(), signal.SIGKILL)  # at an end of its own it would close them all
