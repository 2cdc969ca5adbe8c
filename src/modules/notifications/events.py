"""What notifications publish. Names and fields are part of the contract."""

from uuid import UUID

from bus.events import Event


class DeliveryChanged(Event, frozen=True, tag="notifications.delivery.changed"):
    """A delivery reached another state. Being claimed by a worker is bookkeeping and isn't told.

    What is about an invitation has neither channel nor seqs.
    """

    delivery_id: UUID
    user_id: str
    transport: str
    category: str
    channel_id: UUID | None
    from_seq: int | None
    to_seq: int | None
    message_count: int
    state: str
    reason: str | None
