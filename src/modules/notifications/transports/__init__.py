"""Ways to reach a person. Each is an adapter of `Transport`; the deliveries know nothing else of providers."""

from typing import Protocol
from uuid import UUID

import msgspec

from modules.notifications.domain.outcomes import Outcome


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one address. `attempt` numbers the calls for this delivery."""

    delivery_id: UUID
    attempt: int
    to: str
    text: str
    validity_s: int


class Transport(Protocol):
    """Hands messages to a provider, or to something that stands for one."""

    name: str
    """As in the ledger: `sms`."""

    async def send(self, message: Outgoing) -> Outcome:
        """Hand over one message, with at most one request that could send it, and tell what came of it.

        Ends within `TIMEOUT_S` and raises nothing but cancellation: whatever isn't known to be a refusal is
        `Ambiguous`. Logs neither address nor text.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
        ...


TIMEOUT_S = 10.0
