# SPDX-License-Identifier: LGPL-2.1-or-later
"""Four threads that allocate, compute and sleep. On SIGTERM says "sound" if each of them went on to the end."""
import signal
import threading
import time

stopping = threading.Event()
rounds = [0] * 4


def work(index):
    while not stopping.is_set():
        words = {str(number): [number] * 10 for number in range(500)}
        assert sum(len(word) for word in words.values()) == 5000
        rounds[index] += 1
        time.sleep(0.0001)


signal.signal(signal.SIGTERM, lambda *_: stopping.set())
threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
for thread in threads:
    thread.start()
print("ready", flush=True)
while not stopping.is_set():
    time.sleep(0.05)
for thread in threads:
    thread.join()
print("sound" if all(rounds) else "damaged", flush=True)
