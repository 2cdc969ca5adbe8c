"""Contacts' tables, for Alembic to compare with. Keys start with the person, which is what they would be sharded by."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kernel.orm import Base

Moment = DateTime(timezone=True)
UserId = Text(collation="C")
NOW, ZERO, EMPTY = text("now()"), text("0"), text("'{}'::jsonb")
PENDING = text("status = 'pending'")


class PairRow(Base):
    """Two people who are contacts: the smaller id first, so that there is one row for both."""

    __tablename__ = "contact_pairs"
    low_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    high_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    since: Mapped[datetime] = mapped_column(Moment, server_default=NOW)
    __table_args__ = (
        Index("ix_contact_pairs_low_id_since", "low_id", "since", "high_id"),
        Index("ix_contact_pairs_high_id_since", "high_id", "since", "low_id"),
    )


class BlockRow(Base):
    """Somebody who wants to hear nothing of somebody else."""

    __tablename__ = "contact_blocks"
    blocker_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    blocked_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    since: Mapped[datetime] = mapped_column(Moment, server_default=NOW)
    __table_args__ = (Index("ix_contact_blocks_blocked_id_blocker_id", "blocked_id", "blocker_id"),)


class InviteRow(Base):
    """An invitation. Of a contact one can be pending between two people, whoever invited; of a channel, one each."""

    __tablename__ = "contact_invites"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default=text("'pending'"))
    invitor_id: Mapped[str] = mapped_column(UserId)
    invitee_id: Mapped[str] = mapped_column(UserId)
    channel_id: Mapped[UUID | None]
    channel_title: Mapped[str | None] = mapped_column(Text)
    channel_role: Mapped[str | None] = mapped_column(Text)
    message: Mapped[str | None] = mapped_column(Text)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=EMPTY)
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    responded_at: Mapped[datetime | None] = mapped_column(Moment)
    remind_at: Mapped[datetime | None] = mapped_column(Moment)
    reminded_at: Mapped[datetime | None] = mapped_column(Moment)
    reminders: Mapped[int] = mapped_column(server_default=ZERO)
    __table_args__ = (
        Index(
            "uq_contact_invites_pending_pair",
            text("least(invitor_id, invitee_id)"),
            text("greatest(invitor_id, invitee_id)"),
            unique=True,
            postgresql_where=text("status = 'pending' AND kind = 'contact'"),
        ),
        Index(
            "uq_contact_invites_pending_channel",
            "invitee_id",
            "channel_id",
            unique=True,
            postgresql_where=text("status = 'pending' AND kind = 'channel'"),
        ),
        Index("ix_contact_invites_invitee_id_id", "invitee_id", "id"),
        Index("ix_contact_invites_invitor_id_id", "invitor_id", "id"),
        Index("ix_contact_invites_pending_invitee_id_id", "invitee_id", "id", postgresql_where=PENDING),
        Index("ix_contact_invites_pending_invitor_id_id", "invitor_id", "id", postgresql_where=PENDING),
        Index("ix_contact_invites_pair", "invitor_id", "invitee_id", "responded_at"),
        Index("ix_contact_invites_expires_at", "expires_at", postgresql_where=PENDING),
        Index(
            "ix_contact_invites_remind_at",
            "remind_at",
            postgresql_where=text("status = 'pending' AND remind_at IS NOT NULL"),
        ),
    )


class HistoryRow(Base):
    """A status that an invitation has had, each at most once, at most one after `pending`. `by`: null for nobody."""

    __tablename__ = "contact_invite_history"
    invite_id: Mapped[UUID] = mapped_column(ForeignKey("contact_invites.id"), primary_key=True)
    status: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    by: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        Index("uq_contact_invite_history_end", "invite_id", unique=True, postgresql_where=text("status <> 'pending'")),
    )


class TemplateRow(Base):
    """A text for invitations, by its name."""

    __tablename__ = "contact_invite_templates"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)


class UsageRow(Base):
    """How often something limited was done in a window of time. `subject`: a hash of whose doing it was."""

    __tablename__ = "contact_usage"
    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    since: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    count: Mapped[int]
    __table_args__ = (Index("ix_contact_usage_since", "since"),)
