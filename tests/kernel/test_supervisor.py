"""The supervisor notices each end of a server, also one that comes in the moment in which it begins to wait."""

import subprocess
import sys

import pytest

ENDS = """
import os, signal, subprocess, sys, threading, time
from queue import SimpleQueue

from kernel.embedded import supervisor


class Deaf(SimpleQueue):
    \"\"\"Events by handlers in Python.\"\"\"

    def hear(self, *numbers):
        for number in numbers:
            signal.signal(number, lambda number, _: self.put(number))


def watch():
    seen = -1
    while seen < n:
        seen = n
        time.sleep(10)
    print("waits for ever", flush=True)
    os._exit(0)


if sys.argv[2] == "deaf":
    supervisor.Events = Deaf
events = supervisor.listen()


def life():
    server = subprocess.Popen(["true"])
    began = time.perf_counter()
    server.wait()
    return time.perf_counter() - began


longest = 1.5 * sorted(life() for _ in range(21))[10]  # on this machine, as busy as it is
n = 0
threading.Thread(target=watch, daemon=True).start()
for n in range(int(sys.argv[1])):
    server = subprocess.Popen(["true"])
    waits_from = time.perf_counter() + n % 200 / 200 * longest
    while time.perf_counter() < waits_from:
        pass
    assert not supervisor.told_to_stop(server, events)
print("noticed")
"""


def ends(count: int, *, events: str) -> str:
    """Let so many servers end about when the supervisor begins to wait for it; gives what came of it."""
    command = [sys.executable, "-c", ENDS, str(count), events]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout.strip()


def test_no_end_goes_unnoticed() -> None:
    assert ends(600, events="from the system") == "noticed"


@pytest.mark.long
def test_the_check_finds_signals_that_get_lost() -> None:
    """The broken variant, which waits for ever after a few hundred ends."""
    assert ends(30_000, events="deaf") == "waits for ever"
