"""Messaging's tables. Each key starts with what the table would be sharded by."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from kernel.orm import Base

Moment = DateTime(timezone=True)


class Context(Base):
    """A booking or dispute of the host, with the membership that the host wants."""

    __tablename__ = "chat_contexts"
    context_type: Mapped[str] = mapped_column(Text, primary_key=True)
    context_id: Mapped[str] = mapped_column(Text, primary_key=True)
    title: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default=text("'open'"))
    metadata_: Mapped[Any] = mapped_column("metadata", JSONB, server_default=text("'{}'"))
    participants: Mapped[Any] = mapped_column(JSONB, server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=text("now()"))


class Channel(Base):
    """A conversation and the head of its log."""

    __tablename__ = "chat_channels"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    context_type: Mapped[str | None] = mapped_column(Text)
    context_id: Mapped[str | None] = mapped_column(Text)
    title: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default=text("'active'"))
    genesis: Mapped[str] = mapped_column(Text)
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    direct_low: Mapped[str | None] = mapped_column(Text)
    direct_high: Mapped[str | None] = mapped_column(Text)
    head_hash: Mapped[bytes] = mapped_column(LargeBinary)
    membership_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    last_record_at: Mapped[datetime] = mapped_column(Moment)
    last_message_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    __table_args__ = (
        UniqueConstraint("context_type", "context_id"),
        UniqueConstraint("direct_low", "direct_high"),
        ForeignKeyConstraint(
            ["context_type", "context_id"], ["chat_contexts.context_type", "chat_contexts.context_id"]
        ),
    )


class Participant(Base):
    """Somebody's place in a channel: one row a person, kept when they leave and revived when they return."""

    __tablename__ = "chat_participants"
    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    role: Mapped[str] = mapped_column(Text)
    joined_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    joined_at: Mapped[datetime] = mapped_column(Moment)
    left_seq: Mapped[int | None] = mapped_column(BigInteger)
    left_at: Mapped[datetime | None] = mapped_column(Moment)
    last_delivered_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    last_read_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    last_read_at: Mapped[datetime | None] = mapped_column(Moment)
    muted_until: Mapped[datetime | None] = mapped_column(Moment)
    __table_args__ = (
        ForeignKeyConstraint(["channel_id"], ["chat_channels.id"]),
        Index("ix_chat_participants_user_id", "user_id", postgresql_where=text("left_seq IS NULL")),
    )


class Message(Base):
    """A record of a channel's log: only ever inserted.

    There is no foreign key to the channel: the writer holds its row's lock while it inserts, and channels are
    never deleted; the check would cost every message a look-up.
    """

    __tablename__ = "chat_messages"
    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(Text)
    sender_id: Mapped[str | None] = mapped_column(Text)
    sender_username: Mapped[str | None] = mapped_column(Text)
    sender_display_name: Mapped[str | None] = mapped_column(Text)
    client_id: Mapped[str | None] = mapped_column(Text)
    target_id: Mapped[UUID | None] = mapped_column()
    content: Mapped[str | None] = mapped_column(Text)
    salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    commitment: Mapped[bytes | None] = mapped_column(LargeBinary)
    details: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(Moment)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    __table_args__ = (
        UniqueConstraint("channel_id", "sender_id", "client_id"),
        Index("ix_chat_messages_channel_id_seq", "channel_id", "seq", postgresql_where=text("kind <> 'text'")),
        Index("ix_chat_messages_target_id", "target_id", postgresql_where=text("target_id IS NOT NULL")),
    )


class MessageState(Base):
    """What later records made of a text: only of texts that were changed, and rebuildable from the log."""

    __tablename__ = "chat_message_state"
    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    sender_id: Mapped[str | None] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(server_default=text("0"))
    revision_seq: Mapped[int | None] = mapped_column(BigInteger)
    edited_at: Mapped[datetime | None] = mapped_column(Moment)
    deleted_seq: Mapped[int | None] = mapped_column(BigInteger)
    deleted_at: Mapped[datetime | None] = mapped_column(Moment)
    deleted_by: Mapped[str | None] = mapped_column(Text)
    reactions: Mapped[Any] = mapped_column(JSONB, server_default=text("'{}'"))
    updated_seq: Mapped[int] = mapped_column(BigInteger)


class SearchEntry(Base):
    """What a text can be found by: of visible texts only, and rebuildable from the log."""

    __tablename__ = "chat_search"
    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    terms: Mapped[Any] = mapped_column(TSVECTOR)
    __table_args__ = (
        Index("ix_chat_search_terms", "terms", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )


class SearchProgress(Base):
    """Up to where a channel's log is in the search index."""

    __tablename__ = "chat_search_progress"
    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    indexed_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class SocketTicket(Base):
    """A single-use way into the chat socket."""

    __tablename__ = "chat_socket_tickets"
    ticket_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    credential_expires_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
