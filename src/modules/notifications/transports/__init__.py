"""Ways to reach a person. Each is an adapter of `Transport`; the deliveries know nothing else of providers."""

from typing import Protocol
from uuid import UUID

import msgspec

from modules.notifications.domain.addresses import Subscription, Target
from modules.notifications.domain.outcomes import Outcome
from modules.notifications.ports import Category
from modules.notifications.wording.words import Words

__all__ = ["TIMEOUT_S", "Outgoing", "Subscription", "Target", "Transport", "Words"]


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one person. `attempt` numbers the calls for this delivery.

    `to` holds every address of the person, among them at least one of the transport's own kind.
    """

    delivery_id: UUID
    attempt: int
    user_id: str
    thread_id: UUID | None
    category: Category
    to: Target
    words: Words
    validity_s: int

    @property
    def channel_id(self) -> UUID | None:
        """The channel whose messages it tells of; None if it tells of something else."""
        return self.thread_id if self.category == "messages" else None

    @property
    def invite_id(self) -> UUID | None:
        """The invitation that it tells of; None if it tells of something else."""
        return self.thread_id if self.category == "invites" else None


class Transport(Protocol):
    """Hands messages to a provider, or to something that stands for one."""

    name: str
    """As in the ledger: `push`, `sms` or `email`."""

    async def send(self, message: Outgoing) -> Outcome:
        """Hand over one message, with at most one request to an address, and tell what came of it.

        Ends within a time limit of its own, well within a delivery's lease, and raises nothing but cancellation:
        whatever isn't known to be a refusal is `Ambiguous`. Logs neither addresses nor text.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
        ...


TIMEOUT_S = 10.0
"""For one request, unless a provider's ways ask for more."""
