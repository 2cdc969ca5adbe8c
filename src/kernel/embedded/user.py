"""Using the database of a data directory, together with any number of other processes.

A process that uses it holds the shared lock on `in-use`. The system drops that lock when the process dies, so
the supervisor knows of everybody's end, `kill -9` included. Starting and leaving go through one more lock,
`starting`, one process at a time. Should the supervisor itself be killed, its server dies with it (Linux),
and a user that stays brings up both again within about a second.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from kernel.embedded.install import binaries
from kernel.embedded.locks import Lock
from kernel.embedded.place import EmbeddedPostgresError, Place
from kernel.embedded.process import end_leftovers
from kernel.embedded.server import answers
from kernel.embedded.shelter import close_shelters

log = logging.getLogger(__name__)

SUPERVISOR = "kernel.embedded.supervisor"
ENVIRONMENT = ("PATH", "HOME", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What the supervisor and PostgreSQL get to see of ours: no secrets, and no PG… settings."""

READY_POLL_S = 0.02
WATCH_EVERY_S = 1.0
RETRY_AFTER_S = 10.0


@contextmanager
def running(data_dir: Path) -> Iterator[str]:
    """A PostgreSQL server on `data_dir` (made if missing) for as long as the block runs; gives its DSN.

    Any number of processes, and threads of one, may use the same directory: they share one server, which the
    first starts and the last stops; leaving waits for that. A process that dies without leaving counts as
    gone; forked children don't count as users. A server that dies is started again on the same address.

    Blocks while the server starts: a second or so for a new directory, longer after a crash under load.
    Raises EmbeddedPostgresError, with the end of the log, if it cannot be started.
    """
    process = os.getpid()
    try:
        binaries()
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = Place.at(data_dir)
        in_use = Lock(place.in_use)
    except OSError as error:
        raise EmbeddedPostgresError(f"the data directory cannot be used: {error}") from error
    with in_use:
        in_use.shared()
        bring_up(place)
        watch = Watch(place)
        watch.start()
        try:
            yield place.dsn
        finally:
            if os.getpid() == process:
                watch.end()
                leave(place, in_use)


def bring_up(place: Place) -> None:
    """Return when the server answers, whoever started it. Raises EmbeddedPostgresError if it can't be had."""
    with Lock(place.starting) as starting:
        starting.exclusive()
        if answers_while_supervised(place):
            return
        start_supervisor(place)
        if answers_while_supervised(place):
            return
    raise EmbeddedPostgresError(f"no PostgreSQL in {place.root}; {place.log} ends:\n{place.log_tail()}")


def supervised(place: Place) -> bool:
    with Lock(place.supervisor) as lock:
        return not lock.try_shared()


def start_supervisor(place: Place) -> None:
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    with os.fdopen(os.open(place.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as output:
        subprocess.run(
            [sys.executable, "-P", "-m", SUPERVISOR, str(place.root)],
            check=False,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def answers_while_supervised(place: Place) -> bool:
    """Wait as long as it takes: recovery has no limit, and a supervisor that gives up is gone."""
    while supervised(place):
        if answers(place):
            return True
        time.sleep(READY_POLL_S)
    return False


def leave(place: Place, in_use: Lock) -> None:
    """Give up our share. The last one out waits until the server is gone."""
    with suppress(FileNotFoundError), Lock(place.starting) as starting:  # the directory may have been deleted
        starting.exclusive()
        if in_use.try_exclusive():
            stop_server(place)
        else:
            in_use.shared()  # others use it, or the supervisor is just stopping the server: then this waits


def stop_server(place: Place) -> None:
    """For the holder of the exclusive lock on `in-use`."""
    if supervised(place):
        if not tell_supervisor(place):
            return  # it will see for itself
        with Lock(place.supervisor) as lock:
            lock.shared()
    else:
        end_leftovers(place)
        close_shelters(place)


def tell_supervisor(place: Place) -> bool:
    """Whether it was told to stop. It isn't if its number means another process to us, in a container."""
    with suppress(ValueError, psutil.Error):
        process = psutil.Process(int(place.supervisor.read_text()))
        if [SUPERVISOR, str(place.root)] == process.cmdline()[-2:]:
            process.terminate()
            return True
    return False


class Watch(threading.Thread):
    """Sees to it that there is a supervisor as long as we use the database."""

    def __init__(self, place: Place) -> None:
        super().__init__(name="embedded-postgresql-watch", daemon=True)
        self._place = place
        self._ended = threading.Event()

    def run(self) -> None:
        pause = WATCH_EVERY_S
        while not self._ended.wait(pause):
            try:
                if not supervised(self._place):
                    bring_up(self._place)
                pause = WATCH_EVERY_S
            except (EmbeddedPostgresError, OSError) as error:
                log.warning("the embedded PostgreSQL is down: %s", error)
                pause = RETRY_AFTER_S

    def end(self) -> None:
        self._ended.set()
        self.join()
