"""What a provider did with a message, in our words. Transports translate into these."""

from typing import Literal, TypeAlias
from uuid import UUID

import msgspec

FaultKind = Literal["busy", "invalid_address", "opted_out", "no_subscription", "configuration", "filtered", "other"]
"""busy: not processed, may be tried again. no_subscription: none of the person's browsers is subscribed any more.
configuration: ours, and every message would meet it. filtered: the carrier took offence at the text. other: this
message can't be sent."""


class Fault(msgspec.Struct, frozen=True):
    """Why a message was refused or lost. `reason` is for the ledger: never an address, never text."""

    kind: FaultKind
    reason: str


class Accepted(msgspec.Struct, frozen=True):
    """The provider has taken it over. `gone`: push subscriptions that, it says, exist no longer."""

    provider_id: str
    gone: tuple[UUID, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """The provider certainly didn't take it. `gone`: as with `Accepted`."""

    fault: Fault
    gone: tuple[UUID, ...] = ()


class Ambiguous(msgspec.Struct, frozen=True):
    """Nobody knows whether the provider took it: repeating might send it twice."""

    reason: str


Outcome: TypeAlias = Accepted | Refused | Ambiguous


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider says later, of its own accord and signed, about attempt number `attempt` of a delivery."""

    delivery_id: UUID
    attempt: int
    provider_id: str
    state: Literal["accepted", "delivered", "undelivered", "failed"]
    fault: Fault | None = None
    address: str | None = None
