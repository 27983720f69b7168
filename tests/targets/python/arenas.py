# SPDX-License-Identifier: LGPL-2.1-or-later
"""arenas.py full|sparse: 60 MB of objects of 300 bytes; of the sparse ones one in ten stays, and with it every arena."""
import sys
import time

FILL = 300 - sys.getsizeof(b"")

rows = [b"x" * FILL for _ in range(200000)]
if sys.argv[1] == "sparse":
    rows = rows[::10]
time.sleep(1.3)  # so that memory is told meanwhile
