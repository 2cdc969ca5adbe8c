"""Locks between processes that the kernel releases when their holder dies, however it dies."""

import fcntl
import os
from pathlib import Path
from typing import Self
from weakref import WeakSet


class Lock:
    """An flock on a file, which is made if missing. Closing releases it; forked children don't inherit it.

    Turning a shared lock into an exclusive one, or back, may let others in between.
    """

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        _open.add(self)

    def shared(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_SH)

    def exclusive(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Whether the lock could be had at once. If not, one that was held before may be lost."""
        return self._try(fcntl.LOCK_EX)

    def _try(self, mode: int) -> bool:
        try:
            fcntl.flock(self.file, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_open: WeakSet[Lock] = WeakSet()


def _close_in_child() -> None:
    # An flock lives as long as any copy of its file: a forgotten child would keep the database running.
    for lock in list(_open):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)
