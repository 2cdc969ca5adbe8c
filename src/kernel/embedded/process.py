"""What the server's processes have in common: where they run, how they are found, and that they die."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from kernel.embedded.place import Place

HERE = "/proc/self/cwd" if Path("/proc/self/cwd").exists() else "."
"""The data directory for a server that is started in it.

This way it needs no right to walk down to it: a cluster below /root works, and a path of any length.
"""

PR_SET_PDEATHSIG = 1

GONE_WITHIN_S = 10
POLL_S = 0.01


def die_with_parent(how: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """For `preexec_fn`: the process gets the signal `how` when ours dies. Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, int(how))
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return prepare


def end_leftovers(place: Place) -> None:
    """Kill what a killed supervisor or postmaster left behind. Committed data is safe: the log is replayed.

    Call it only with the supervisor's lock held, or with nobody using the database.
    """
    deadline = time.monotonic() + GONE_WITHIN_S
    while leftovers := list(_servers_of(place)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"PostgreSQL does not end: {[process.pid for process in leftovers]}")
        for process in leftovers:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(POLL_S)


def _servers_of(place: Place) -> Iterator[psutil.Process]:
    """By the cluster's name, which all of them bear: where they run is a secret to root in most containers."""
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "postgres" and place.name in " ".join(process.info["cmdline"] or ()):
            yield process
