"""Providers that take, refuse, fall silent and break down, and remember every call."""

import random
from datetime import datetime
from uuid import UUID

import msgspec

from kernel.clock import Clock
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
