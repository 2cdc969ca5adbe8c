"""Parts during which the process may die: a database at its commits, a transport at its calls.

Crashing there is done from outside, step by step: before and after each commit, and before and after the provider's
call. That is where something can be left half done.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kernel.database import Database, Transaction
from modules.notifications.domain.outcomes import Outcome
from modules.notifications.transports import Outgoing, Transport


class Crash(BaseException):
    """The process dies here."""


class Fuse:
    """Burns one step at a time, and crashes at the last. None: never."""

    def __init__(self, steps: int | None = None) -> None:
        self.left = steps

    def burn(self) -> None:
        """Come to a step."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.crash()

    def crash(self) -> None:
        """Die, as far as the module can tell."""
        raise Crash


class DeadlyFuse(Fuse):
    """Kills the process itself, with no chance to do anything more."""

    def crash(self) -> None:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)


class CrashingDatabase(Database):
    """A database during whose commits the process may die: before they happen, or after."""

    def __init__(self, real: Database, fuse: Fuse) -> None:
        self.pool, self.reserved, self.engine, self._fuse = real.pool, real.reserved, real.engine, fuse

    @asynccontextmanager
    async def transaction(self, *, reserved: bool = False) -> AsyncIterator[Transaction]:
        """Run a transaction, with a step before and after its commit."""
        async with super().transaction(reserved=reserved) as tx:
            yield tx
            self._fuse.burn()
        self._fuse.burn()


class CrashingTransport:
    """A transport during whose calls the process may die: before the request, or once it was answered."""

    def __init__(self, real: Transport, fuse: Fuse) -> None:
        self.name, self._real, self._fuse = real.name, real, fuse

    async def send(self, message: Outgoing) -> Outcome:
        """Send, with a step before and after."""
        self._fuse.burn()
        outcome = await self._real.send(message)
        self._fuse.burn()
        return outcome

    async def close(self) -> None:
        """Close."""
        await self._real.close()
