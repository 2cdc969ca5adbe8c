"""A task that works in rounds until it is stopped."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress

import structlog

from kernel.errors import UnavailableError

log = structlog.get_logger(__name__)

POLL_S = 1.0
"""What is due is found at the latest after this, also when nobody wakes the worker."""


class Worker(ABC):
    """Base of the workers here. One task a process; rounds never overlap."""

    def __init__(self) -> None:
        self._awake = asyncio.Event()
        self._stopping = False

    @abstractmethod
    async def round(self) -> float:
        """Do what is due; return for how many seconds there is nothing to do (at most `POLL_S` are rested)."""

    def wake(self) -> None:
        """Begin the next round at once."""
        self._awake.set()

    def stop(self) -> None:
        """End `run` after the round in hand."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Work until stopped. A round that fails is logged and tried again; a database that is away is waited for."""
        while not self._stopping:
            rest_s = POLL_S
            try:
                rest_s = await self.round()
            except UnavailableError:
                pass
            except Exception:
                log.exception("round_failed", worker=type(self).__name__)
            await self._rest(min(rest_s, POLL_S))

    async def _rest(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), seconds)
        self._awake.clear()
