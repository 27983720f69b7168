# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the trace holds of statements and of event loops, event by event."""
import json
import string

import pytest

from frames import plain_bytes

DIGITS = string.digits + string.ascii_uppercase
SECRETS = ("planted-secret", "planted_secret", "4711")


def events(stray, result):
    done = stray.call("dump", result.trace, "--format", "json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def lines(result, word):
    return [tuple(line.split("\t")) for line in result.stdout.splitlines() if line.startswith(word)]


def state(number):
    return "".join(DIGITS[number // 36 ** i % 36] for i in range(4, -1, -1))


def told_result(event):
    value = int(str(event["value"]), 0)
    rows, transaction, status = value & (1 << 30) - 1, value >> 56 & 15, value >> 60
    failed = status == 7  # PGRES_FATAL_ERROR
    return ("result", event["hook"], str(status), str(transaction), state(rows) if failed else str(rows))


def told(event):
    if event["action"] == "statement":
        return ("sent", event["hook"], event.get("statement", "-"))
    return told_result(event)


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["default", "full"])
def test_every_call_that_sends_a_statement(stray, target, postgres, options):
    result = stray.run([target("target_statements")], env=postgres.env, options=options).ok()
    found = [told(event) for event in events(stray, result) if event["action"] in ("statement", "result")]
    wanted = [tuple(line.split("\t")) for line in result.stdout.splitlines()]
    assert [line for line in wanted if line[0] == "sent"], result.stdout
    assert found == wanted


def test_no_secret_in_any_byte(stray, target, postgres):
    result = stray.run([target("target_statements"), 100], env=postgres.env).ok()
    for path in result.files():
        content = plain_bytes(path)
        for secret in (*SECRETS, postgres.password):
            assert secret.encode() not in content, f"{secret} is in {path.name}"


def test_off_keeps_no_text(stray, target, postgres):
    result = stray.run([target("target_statements")], env=postgres.env, options=["--sql", "off"]).ok()
    texts = {event.get("statement") for event in events(stray, result) if event["action"] == "statement"}
    assert texts == {"", None}
    assert all(b"SELECT" not in plain_bytes(path) for path in result.files())


def test_text_keeps_one_example(stray, target, postgres):
    result = stray.run([target("target_statements")], env=postgres.env, options=["--sql", "text"]).ok()
    texts = {event.get("statement") for event in events(stray, result) if event["action"] == "statement"}
    assert "SELECT note FROM t WHERE id = 2" in texts
    assert "SET application_name TO planted_secret" in texts


def test_names_lists_and_keys(stray, target, postgres):
    found = events(stray, stray.run([target("target_statements")], env=postgres.env).ok())
    names = {event["hook"]: event["value"] for event in found if event["action"] == "named"}
    assert len({names["PQprepare"], names["PQexecPrepared"], names["PQdescribePrepared"], names["PQclosePrepared"]}) == 1
    assert len({names["PQsendPrepare"], names["PQsendQueryPrepared"], names["PQprepare"]}) == 2
    assert [event["value"] for event in found if event["action"] == "members"] == [1500]
    assert len([event for event in found if event["action"] == "key"]) == 1  # in the one transaction that has a WHERE with "="


KEYS = """
import sys, psycopg2
connection = psycopg2.connect("")
cursor = connection.cursor()
cursor.execute("CREATE TEMP TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1), (2, 2)")
for key in (1, 2, 1):
    cursor.execute("SELECT n FROM t WHERE id = %s", (key,))
    cursor.execute("UPDATE t SET n = %s WHERE id = %s", (cursor.fetchone()[0] + 1, key))
connection.commit()
"""


def test_equal_keys_have_equal_hashes(stray, postgres):
    found = events(stray, stray.run(["/usr/bin/python3", "-c", KEYS], env=postgres.env).ok())
    keys = [event["value"] for event in found if event["action"] == "key"]
    assert len(keys) == 6
    assert keys[0] == keys[1] == keys[4] == keys[5] != keys[2] == keys[3]


def test_loops_and_what_keeps_them(stray, target):
    result = stray.run([target("target_loops"), "localhost"]).ok()
    found = events(stray, result)
    wanted = [line.split() for line in result.stdout.splitlines()]
    for word, thread, hook, *count in wanted:
        mine = [event for event in found if event["action"] == word and event["thread"] == int(thread) and event["hook"] == hook]
        if word == "waited":
            assert 1 <= sum(event["value"] for event in mine) <= int(count[0]), (thread, hook, mine)
        else:
            assert len(mine) == 1 and mine[0]["stack"] != 0, (thread, hook, mine)
    assert len([event for event in found if event["action"] == "blocked"]) == len([line for line in wanted if line[0] == "blocked"])
