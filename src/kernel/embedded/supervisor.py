"""The process beside the server: starts it, restarts it when it dies, stops it when nobody uses it any more.

`python -m kernel.embedded.supervisor DATA_DIR` goes to the background and returns as soon as the supervisor
has its lock and no older server is left. A data directory has one, which owes nothing to the process that
started it. It ends when it gets the exclusive lock on `in-use`, that is when the last user has gone, however
it went; while it stops the server it keeps that lock, so that newcomers wait until they can start afresh.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from kernel.embedded.account import server_account
from kernel.embedded.cluster import ensure_cluster
from kernel.embedded.install import binaries_for
from kernel.embedded.locks import Lock
from kernel.embedded.place import EmbeddedPostgresError, Place
from kernel.embedded.server import clear_ground, launch, stop
from kernel.embedded.shelter import close_shelters, make_shortcut

LOCK_ATTEMPTS, LOCK_PAUSE_S = 50, 0.02
PAUSES_S = (0, 0.1, 0.2, 0.4, 0.8)
"""Before each start, by the number of failed ones just before; after the last the supervisor gives up."""


TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> int:
    place = Place.at(Path(sys.argv[1]))
    parent = go_to_background()
    lock = Lock(place.supervisor)  # never closed: whoever waits for it finds no trace of us
    if not take(lock):
        return 0
    clear_ground(place)
    os.close(parent)
    try:
        events = listen()
        await_last_leave(place, events)
        supervise(place, events)
    except (EmbeddedPostgresError, OSError) as error:
        say(f"gave up: {error}")
        return 1
    finally:
        close_shelters(place)
    return 0


def go_to_background() -> int:
    """Return in a child. The parent exits when the returned file is closed, or the child dies."""
    watched, held = os.pipe()
    if os.fork() == 0:
        os.close(watched)
        return held
    os.close(held)
    os.read(watched, 1)
    os._exit(0)


def take(lock: Lock) -> bool:
    """Whether the supervisor's lock is ours now. Users hold it for a moment when they look for one."""
    for _ in range(LOCK_ATTEMPTS):
        if lock.try_exclusive():
            os.ftruncate(lock.file, 0)
            os.write(lock.file, str(os.getpid()).encode())
            return True
        time.sleep(LOCK_PAUSE_S)
    return False


class Events:
    """What the supervisor acts upon, as bytes in a pipe: the numbers of signals.

    The system's own handler writes them, so that none gets lost between looking and waiting: a handler in Python runs
    only when the main thread is back from waiting, and for a signal just before that it never comes back.
    """

    def __init__(self) -> None:
        self._coming, self._going = os.pipe()
        os.set_blocking(self._going, False)  # a full pipe already says all there is to say

    def hear(self, *numbers: signal.Signals) -> None:
        """Take these signals for events from now on."""
        for number in numbers:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._going, warn_on_full_buffer=False)

    def put(self, number: signal.Signals) -> None:
        """Act as if this signal had come."""
        os.write(self._going, bytes([number]))

    def get(self) -> int:
        """Wait for the next one."""
        return os.read(self._coming, 1)[0]


def listen() -> Events:
    """Hear of being told to stop, and of a server's end."""
    events = Events()
    events.hear(*TO_STOP, signal.SIGCHLD)
    return events


def await_last_leave(place: Place, events: Events) -> None:
    """Have the last user's leave tell us to stop."""
    users = Lock(place.in_use)

    def wait() -> None:
        users.exclusive()
        events.put(signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def supervise(place: Place, events: Events) -> None:
    """Keep the server running until told to stop. Raises EmbeddedPostgresError when it cannot be started."""
    account = server_account(place)
    binaries = binaries_for(account, place)
    ensure_cluster(place, binaries, account)
    if place.needs_shortcut:
        make_shortcut(place)
    failures = 0
    while failures < len(PAUSES_S):
        time.sleep(PAUSES_S[failures])
        clear_ground(place)
        server = launch(place, binaries, account)
        if told_to_stop(server, events):
            return stop(server)
        # A positive status says that it couldn't start. Killed from outside, it may always come back.
        failures = failures + 1 if server.returncode > 0 else 0
        say(f"PostgreSQL ended with status {server.returncode}")
    raise EmbeddedPostgresError(f"PostgreSQL failed to start {failures} times in a row")


def told_to_stop(server: subprocess.Popen[bytes], events: Events) -> bool:
    """Wait until we are (True), or the server has ended by itself (False)."""
    while server.poll() is None:
        if events.get() in TO_STOP:
            return True
    return False


def say(what: str) -> None:
    with suppress(OSError):  # a full disk must not cost us the server
        now = f"{datetime.now(UTC):%F %T.%f}"[:-3]
        sys.stderr.write(f"{now} UTC [{os.getpid()}] SUPERVISOR:  {what}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    os._exit(main())
