# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens and sessions. validate_jwt and revoke_session leak, each in its own way."""
import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

import psycopg2

from service import config

AUDIT = []     # who was let in, with what it took to find out: the connection among it
FAILURES = []  # kept for a page that was never written; a traceback holds its frames' locals


class InvalidToken(Exception):
    pass


class NoSuchSession(Exception):
    pass


@dataclass
class User:
    name: str
    session: str


def sign(payload: bytes) -> str:
    return hmac.new(config.SIGNING_KEY, payload, hashlib.sha256).hexdigest()


def make_token(name: str, session: str) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"sub": name, "sid": session}).encode())
    return payload.decode() + "." + sign(payload)


def validate_jwt(token: str) -> User:
    payload, _, signature = token.partition(".")
    connection = psycopg2.connect(config.DATABASE_URL)
    cursor = connection.cursor()
    AUDIT.append((connection, token))
    if not hmac.compare_digest(signature, sign(payload.encode())):
        raise InvalidToken("bad signature")
    claims = json.loads(base64.urlsafe_b64decode(payload))
    cursor.execute("SELECT name FROM account WHERE name = %s AND %s <> ''", (claims["sub"], claims["sid"]))
    row = cursor.fetchone()
    if row is None:
        raise InvalidToken("no such account")
    return User(row[0], claims["sid"])


def revoke_session(session: str) -> None:
    connection = psycopg2.connect(config.DATABASE_URL)
    cursor = connection.cursor()
    cursor.execute("SELECT owner FROM session WHERE id = %s", (session,))
    if cursor.fetchone() is None:
        try:
            raise NoSuchSession(session)
        except NoSuchSession as failure:
            FAILURES.append(failure)
            raise
    cursor.execute("DELETE FROM session WHERE id = %s", (session,))
    connection.commit()
    connection.close()
