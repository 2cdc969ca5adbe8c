"""Joins what a socket is sent during one turn of the event loop into one write.

A write is a system call, and system calls are what fan-out costs. The writer announces a batch in one turn, so on a
busy channel a socket gets many frames at once; on a quiet one a frame waits for nothing but the end of the turn.
"""

import asyncio
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class Flushable(Protocol):
    """Something that gathers, and can let go."""

    def flush(self) -> None:
        """Write what was gathered."""
        ...


class Flusher:
    """Flushes, at the end of the turn, everything that asked for it."""

    def __init__(self) -> None:
        self._waiting: list[Flushable] = []

    def soon(self, flushable: Flushable) -> None:
        """Flush this at the end of the turn."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(flushable)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for flushable in waiting:
            try:
                flushable.flush()
            except Exception:
                log.exception("flush_failed")
