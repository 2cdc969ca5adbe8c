"""Tables of the host's webhooks."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kernel.orm import Base

Moment = DateTime(timezone=True)
ZERO = text("0")


class WebhookRow(Base):
    """Where to post which events, with which secrets, and how the endpoint is.

    One that was deleted stays, without its address and secrets, until its deliveries are cleared away.
    """

    __tablename__ = "notification_webhooks"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    description: Mapped[str | None] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)
    previous_secret: Mapped[str | None] = mapped_column(Text)
    previous_until: Mapped[datetime | None] = mapped_column(Moment)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(server_default=ZERO)
    failing_since: Mapped[datetime | None] = mapped_column(Moment)
    resting_until: Mapped[datetime | None] = mapped_column(Moment)
    deleted_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)


class WebhookEventRow(Base):
    """An event as it is sent, to the byte, for every webhook that wants it."""

    __tablename__ = "notification_webhook_events"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    event_type: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(Moment)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Moment)
    __table_args__ = (Index("ix_notification_webhook_events_created_at", "created_at"),)


def _index(name: str, columns: tuple[str, ...], state: str) -> Index:
    where = text(f"state = '{state}'")
    return Index(f"ix_notification_webhook_deliveries_{name}", *columns, postgresql_where=where)


class WebhookDeliveryRow(Base):
    """One event for one webhook: the log, and the queue. `attempts`: the last ones, oldest first."""

    __tablename__ = "notification_webhook_deliveries"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("notification_webhooks.id"))
    event_id: Mapped[UUID] = mapped_column(ForeignKey("notification_webhook_events.id", ondelete="CASCADE"))
    event_type: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(server_default=ZERO)
    attempts: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    due_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    claim_id: Mapped[UUID | None]
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    __table_args__ = (
        UniqueConstraint("event_id", "webhook_id"),
        Index("ix_notification_webhook_deliveries_log", "webhook_id", "id"),
        Index("ix_notification_webhook_deliveries_state", "webhook_id", "state", "id"),
        _index("waiting", ("webhook_id", "due_at", "id"), "pending"),
        _index("expiring", ("expires_at",), "pending"),
        _index("leased", ("lease_until",), "sending"),
    )
