"""Looking again at what may have changed.

Overview: whoever hears of a change names it and goes on; a task looks at all that was named meanwhile, one look at a
time. "Everything" is for when changes may have been missed.

Concurrency: on the event loop.

Guarantees: what was named is looked at after it was named, also when that takes several attempts because the database
is away.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from kernel.errors import UnavailableError

log = structlog.get_logger(__name__)

RETRY_S = 0.1

K = TypeVar("K")


class Rechecks(Generic[K]):
    """Calls `look` with what was named since the last look, or with None for everything. `start` it before use."""

    def __init__(self, name: str, look: Callable[[frozenset[K] | None], Awaitable[None]]) -> None:
        self._name = name
        self._look = look
        self._named: set[K] = set()
        self._everything = False
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def one(self, key: K) -> None:
        """Look at this soon."""
        self._named.add(key)
        self._awake.set()

    def everything(self) -> None:
        """Look at everything soon."""
        self._everything = True
        self._awake.set()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """End; nothing is looked at afterwards."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            named, self._named = self._named, set()
            everything, self._everything = self._everything, False
            try:
                await self._look(None if everything else frozenset(named))
            except Exception as error:
                if not isinstance(error, UnavailableError):
                    log.exception("recheck_failed", what=self._name)
                self._named |= named
                self._everything |= everything
                await asyncio.sleep(RETRY_S)
                self._awake.set()
