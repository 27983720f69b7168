#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""json_job.py [ROUNDS]: reads, sorts and writes a document of some hundred kilobytes, again and again."""
import json
import sys

USERS = [{"id": i, "name": f"user{i}", "tags": [f"a{i % 7}", "b", "c"], "score": i * 1.5, "nested": {"x": [i, i + 1], "y": str(i)}}
         for i in range(2000)]
TEXT = json.dumps({"users": USERS})
for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 100):
    document = json.loads(TEXT)
    document["users"].sort(key=lambda user: user["name"])
    json.dumps(document)
