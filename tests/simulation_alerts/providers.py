"""Providers that take, refuse, fall silent and break down, and remember every call."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import msgspec

from kernel.clock import Clock
from kernel.database import Database, Transaction
from modules.notifications.domain.outcomes import Accepted, Ambiguous, Fault, Outcome, Refused
from modules.notifications.transports import Outgoing
from tests.simulation_alerts.life import Life


class Call(msgspec.Struct, frozen=True):
    """A call of a provider. `taken`: whether the person gets it."""

    at: datetime
    transport: str
    delivery_id: UUID
    user_id: str
    channel_id: UUID
    validity_s: int
    outcome: Outcome
    taken: bool


class Provider:
    """A transport without a network. Nothing but its call log knows what the person really got."""

    def __init__(self, name: str, life: Life, clock: Clock, dice: random.Random, calls: list[Call]) -> None:
        self.name = name
        self.trouble = 0.0
        """How likely a call fails."""
        self._life, self._clock, self._dice, self._calls = life, clock, dice, calls

    async def send(self, message: Outgoing) -> Outcome:
        """Take the message, or not."""
        at = self._clock()
        outcome, taken = self._outcome(message, at)
        assert message.channel_id is not None
        self._calls.append(
            Call(
                at,
                self.name,
                message.delivery_id,
                message.user_id,
                message.channel_id,
                message.validity_s,
                outcome,
                taken,
            )
        )
        return outcome

    async def close(self) -> None:
        """Nothing to let go of."""

    def _outcome(self, message: Outgoing, at: datetime) -> tuple[Outcome, bool]:
        if self._dice.random() >= self.trouble:
            return Accepted(f"{self.name}-{message.delivery_id}-{message.attempt}"), True
        kind = self._dice.choice(["busy", "busy", "silent", "silent, taken", "gone", "other"])
        if kind.startswith("silent"):
            return Ambiguous("timeout"), kind != "silent"
        if kind == "gone" and self.name == "push":
            self._life.subscribed[message.user_id].set(at, ())
            ids = tuple(subscription.id for subscription in message.to.subscriptions)
            return Refused(Fault("no_subscription", "push_gone"), ids), False
        return Refused(Fault("busy" if kind == "busy" else "other", kind)), False


class Crash(BaseException):
    """The process dies here."""


class Fuse:
    """Burns one step at a time, and crashes at the last."""

    def __init__(self) -> None:
        self.left: int | None = None

    def burn(self) -> None:
        """Come to a step."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Crash


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


class CrashingProvider:
    """A provider during whose calls the process may die: before the request, or once it was answered."""

    def __init__(self, real: Provider, fuse: Fuse) -> None:
        self.name, self._real, self._fuse = real.name, real, fuse

    async def send(self, message: Outgoing) -> Outcome:
        """Send, with a step before and after."""
        self._fuse.burn()
        outcome = await self._real.send(message)
        self._fuse.burn()
        return outcome

    async def close(self) -> None:
        """Close."""
