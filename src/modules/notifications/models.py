"""Notifications' tables. Keys start with the person, which is what they would be sharded by."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Computed,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from kernel.orm import Base

Moment = DateTime(timezone=True)
PLACE = ("user_id", "thread_id", "transport")
TRUE, NOW, ZERO = text("true"), text("now()"), text("0")


class PreferencesRow(Base):
    """What a person chose; somebody without a row never chose. Quiet hours are `HH:MM`, both null for none."""

    __tablename__ = "notification_preferences"
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    push: Mapped[bool] = mapped_column(Boolean, server_default=TRUE)
    sms: Mapped[bool] = mapped_column(Boolean, server_default=TRUE)
    email: Mapped[bool] = mapped_column(Boolean, server_default=TRUE)
    messages: Mapped[bool] = mapped_column(Boolean, server_default=TRUE)
    invites: Mapped[bool] = mapped_column(Boolean, server_default=TRUE)
    quiet_start: Mapped[str | None] = mapped_column(Text)
    quiet_end: Mapped[str | None] = mapped_column(Text)
    quiet_time_zone: Mapped[str | None] = mapped_column(Text)
    paused_until: Mapped[datetime | None] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)


class AlertRow(Base):
    """One person, thread and transport: up to where they were alerted, and the alert that is open, if one is.

    A thread is a channel or, by its `category`, an invitation. The open alert is about (`alerted_to`, `to_seq`].
    `begun_at`: when the first that it tells of happened; `held_by`: why it was put off the last time.
    """

    __tablename__ = "notification_alerts"
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    thread_id: Mapped[UUID] = mapped_column(primary_key=True)
    transport: Mapped[str] = mapped_column(Text, primary_key=True)
    category: Mapped[str] = mapped_column(Text)
    alerted_to: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    to_seq: Mapped[int | None] = mapped_column(BigInteger)
    message_count: Mapped[int] = mapped_column(server_default=ZERO)
    begun_at: Mapped[datetime | None] = mapped_column(Moment)
    due_at: Mapped[datetime | None] = mapped_column(Moment)
    held_by: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (Index("ix_notification_alerts_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),)


class DeliveryRow(Base):
    """The ledger, and the queue. Ranges of one person, thread and transport form a chain, so that none can overlap.

    What isn't about a thread has neither that nor a range. `cut`: those before it were removed, for their age.
    `lost_attempt`: see the domain's `Delivery`.
    """

    __tablename__ = "notification_deliveries"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(Text)
    transport: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text)
    thread_id: Mapped[UUID | None]
    from_seq: Mapped[int | None] = mapped_column(BigInteger)
    to_seq: Mapped[int | None] = mapped_column(BigInteger)
    cut: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    after_seq: Mapped[int | None] = mapped_column(
        BigInteger, Computed("CASE WHEN cut THEN NULL ELSE nullif(from_seq - 1, 0) END", persisted=True)
    )
    message_count: Mapped[int]
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    provider_id: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(server_default=ZERO)
    failures: Mapped[int] = mapped_column(server_default=ZERO)
    lost_attempt: Mapped[int] = mapped_column(server_default=ZERO)
    due_at: Mapped[datetime] = mapped_column(Moment)
    claim_id: Mapped[UUID | None]
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    __table_args__ = (
        UniqueConstraint(*PLACE, "from_seq", name="uq_notification_deliveries_begin"),
        UniqueConstraint(*PLACE, "to_seq", name="uq_notification_deliveries_end"),
        ForeignKeyConstraint(
            [*PLACE, "after_seq"],
            [f"notification_deliveries.{column}" for column in (*PLACE, "to_seq")],
            name="fk_notification_deliveries_chain",
            deferrable=True,
            initially="IMMEDIATE",
        ),
        Index("ix_notification_deliveries_user_id_id", "user_id", "id"),
        Index("ix_notification_deliveries_state_id", "state", "id"),
        Index(
            "ix_notification_deliveries_waiting",
            "transport",
            "due_at",
            "id",
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_notification_deliveries_leased",
            "lease_until",
            postgresql_where=text("lease_until IS NOT NULL"),
        ),
    )


class AddressRow(Base):
    """What is known of a telephone number, whoever has it: kept by its hash, and for good."""

    __tablename__ = "notification_addresses"
    address_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    opted_out_at: Mapped[datetime | None] = mapped_column(Moment)
    invalid_at: Mapped[datetime | None] = mapped_column(Moment)
    reason: Mapped[str | None] = mapped_column(Text)


class AnswerRow(Base):
    """An SMS that came in and was acted upon, so that it isn't twice."""

    __tablename__ = "notification_answers"
    provider_id: Mapped[str] = mapped_column(Text, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)
    __table_args__ = (Index("ix_notification_answers_received_at", "received_at"),)


class TransportRow(Base):
    """A transport, for all instances: whether it is held back, and when its sender is free. See `domain.circuit`."""

    __tablename__ = "notification_transports"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    paused_until: Mapped[datetime | None] = mapped_column(Moment)
    reason: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(server_default=ZERO)
    holds: Mapped[int] = mapped_column(server_default=ZERO)
    probe_id: Mapped[UUID | None]
    probing_until: Mapped[datetime | None] = mapped_column(Moment)
    free_at: Mapped[datetime | None] = mapped_column(Moment)


class UsageRow(Base):
    """Segments of SMS in an hour: to one number, by its hash, or altogether, where `scope` is empty."""

    __tablename__ = "notification_usage"
    scope: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    hour: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    segments: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (Index("ix_notification_usage_hour", "hour"),)


class PushSubscriptionRow(Base):
    """A browser in which somebody wants to be told. Its keys encrypt for it; they open nothing."""

    __tablename__ = "notification_push_subscriptions"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(Text)
    endpoint: Mapped[str] = mapped_column(Text)
    p256dh: Mapped[str] = mapped_column(Text)
    auth: Mapped[str] = mapped_column(Text)
    vapid_key: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    __table_args__ = (
        UniqueConstraint("endpoint", name="uq_notification_push_subscriptions_endpoint"),
        Index("ix_notification_push_subscriptions_user_id_updated_at", "user_id", "updated_at"),
    )


class SecretRow(Base):
    """A secret that was made up on first need, for all instances: what it signed is good as long as it is kept."""

    __tablename__ = "notification_secrets"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
