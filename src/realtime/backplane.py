"""The backplane: how the instances of Parley hear of each other's frames.

Overview: an instance publishes what its own listeners have already been given; the others, as far as they subscribe
to the topic, hear it. With one process there is nobody else, so `MemoryBackplane` has nothing to do; many share a
Redis (see `redis_backplane`).

Guarantees: a hint, never the truth. Messages of one instance on one topic arrive in the order of publication, but any
of them may be lost. When this instance may have missed some, `on_doubt` is called, and the log is read instead. What
another never got to say nobody here can know, so the log is also looked at now and then.
"""

from collections.abc import Callable
from typing import Protocol


class Backplane(Protocol):
    """Carries messages between instances. Not thread-safe: everything happens on the event loop that started it."""

    @property
    def connected(self) -> bool:
        """False while the others are known to be out of reach."""
        ...

    def listen(self, on_message: Callable[[str, bytes], None], on_doubt: Callable[[], None]) -> None:
        """Say who hears what arrives; to be called once, before `start`.

        `on_message(topic, payload)` gets what another instance published: never one's own, each instance's in order.
        `on_doubt()` says that messages may have been lost: the connection broke, or is back again. Neither may block;
        what they raise is logged.
        """
        ...

    async def start(self) -> None:
        """Begin to connect. Never fails because the others are out of reach: they are tried for ever."""
        ...

    async def stop(self) -> None:
        """Disconnect; afterwards nothing is called any more."""
        ...

    def subscribe(self, topic: str) -> None:
        """Hear a topic from soon on; returns at once. Again is harmless."""
        ...

    def unsubscribe(self, topic: str) -> None:
        """Hear it no more from soon on; returns at once. `on_message` isn't called for it from this moment on."""
        ...

    async def settled(self) -> None:
        """Wait until every subscription asked for has taken effect, or can't: for a second at most."""
        ...

    def publish(self, topic: str, payload: bytes) -> None:
        """Tell the other instances: from soon on, in order. Never blocks, never raises; lost while they are away."""
        ...


class MemoryBackplane:
    """For one process alone: whatever it tells, nobody else is there to hear."""

    @property
    def connected(self) -> bool:
        """Nobody is out of reach."""
        return True

    def listen(self, on_message: Callable[[str, bytes], None], on_doubt: Callable[[], None]) -> None:
        """Nothing will ever arrive."""

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to disconnect from."""

    def subscribe(self, topic: str) -> None:
        """Nothing to hear."""

    def unsubscribe(self, topic: str) -> None:
        """Nothing to hear."""

    async def settled(self) -> None:
        """Always so."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Nobody to tell."""
