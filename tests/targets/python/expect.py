# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a tracer must count at each function, as lines of JSON: the twin of tests/targets/traced/expect.h."""
import json
import os


def expect(function, resource, opened, closed, bytes=-1):
    line = {"pid": os.getpid(), "function": function, "resource": resource, "opened": opened, "closed": closed, "bytes": bytes}
    print(json.dumps(line), flush=True)
