"""What the log says, told once more: written without a look at how the server folds, and with an eye for the rules."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import asyncpg
import msgspec

from modules.messaging.log.record import Record
from tests.support.log import Log, read

READS_ONLY = {"observer"}
MODERATES = {"admin", "moderator"}
CHANNELS = """
SELECT DISTINCT c.id::text, c.kind, c.context_type, c.last_message_at, c.created_at FROM chat_channels c
JOIN chat_participants p ON p.channel_id = c.id WHERE p.user_id = ANY($1::text[])
"""
PLACES = """
SELECT channel_id::text, user_id, role, joined_seq, left_seq, last_delivered_seq AS delivered, last_read_seq AS read,
    muted_until IS NOT NULL AS muted
FROM chat_participants WHERE channel_id = ANY($1::uuid[])
"""


class Text(msgspec.Struct):
    """A message: every version, and what became of it. `reactions`: (emoji, user id), as they came."""

    record: Record
    versions: list[Record]
    deleted: Record | None = None
    reactions: list[tuple[str, str]] = []

    @property
    def content(self) -> str:
        """What it says now."""
        return "" if self.deleted else self.versions[-1].content or ""


class Place(msgspec.Struct, frozen=True):
    """A row of participants."""

    role: str
    joined_seq: int
    left_seq: int | None
    delivered: int
    read: int
    muted: bool


class Story(msgspec.Struct):
    """A channel as its log tells it. `changes`: when somebody's role, or the status (user id ""), became another."""

    log: Log
    kind: str
    context_type: str | None
    active_at: datetime
    created_at: datetime
    places: dict[str, Place]
    members: dict[str, str] = {}
    joined: dict[str, int] = {}
    left: dict[str, int] = {}
    archived: bool = False
    texts: dict[str, Text] = {}
    changes: list[tuple[float, str, str | None]] = []
    faults: list[str] = []

    def tell(self) -> None:
        """Tell it from the beginning. `faults`: what should never have been accepted."""
        founders = msgspec.json.decode(self.log.genesis)["participants"]
        for user, role in founders.items():
            self._place(0, self.created_at, user, role)
        for record in self.log.records:
            fault = self._next(record)
            if fault is not None:
                self.faults.append(f"unlawful: {record.kind} {record.seq} of {record.sender_id}: {fault}")
        if not self.members and not self.archived:
            self.faults.append("unlawful: open, and nobody in it")

    def _next(self, record: Record) -> str | None:
        if record.kind.startswith("participant_"):
            return self._membership(record)
        if record.kind.startswith("channel_"):
            return self._status(record)
        role = self.members.get(record.sender_id or "")
        fault = self._silence(role)
        if record.kind == "text":
            self.texts[str(record.id)] = Text(record, [record])
            return fault
        return fault or self._change(self.texts[str(record.target_id)], record, role)

    def _silence(self, role: str | None) -> str | None:
        """Return why somebody in this role may say nothing now."""
        if self.archived:
            return "the channel is archived"
        if self.kind == "group" and "admin" not in self.members.values():
            return "a group without an admin"
        return f"in the role {role}" if role is None or role in READS_ONLY else None

    def _change(self, text: Text, record: Record, role: str | None) -> str | None:
        reaction = (str((record.details or {}).get("emoji")), record.sender_id or "")
        match record.kind:
            case "revision":
                text.versions.append(record)
                return "not the sender's, or deleted" if text.deleted or not _is_own(text, record) else None
            case "deletion":
                may = _is_own(text, record) or (self.kind == "group" and role in MODERATES)
                fault = "deleted before, or not theirs to delete" if text.deleted or not may else None
                text.deleted = record
                return fault
            case "reaction":
                text.reactions.append(reaction)
                return "twice, or to nothing" if text.deleted or text.reactions.count(reaction) > 1 else None
        if reaction not in text.reactions:
            return "there was none"
        text.reactions.remove(reaction)
        return None

    def _membership(self, record: Record) -> str | None:
        details = record.details or {}
        user, role, by = details["user_id"], details.get("role"), details.get("by")
        before = self.members.get(user)
        self._place(record.seq, record.created_at, user, None if record.kind == "participant_left" else role)
        if (before is None) is not (record.kind == "participant_joined") or before == role:
            return f"{user} was {before}"
        return None if self._may_move(by, user, record) else f"by {by}"

    def _may_move(self, by: str | None, user: str, record: Record) -> bool:
        if self.kind != "group" or by is None:
            return self.kind == "context" and by is None
        heir = record.kind == "participant_role_changed" and self.left.get(by) == record.seq - 1
        return by == user or heir or self.members.get(by) == "admin"

    def _status(self, record: Record) -> str | None:
        archived, by = record.kind == "channel_archived", (record.details or {}).get("by")
        fault = "as it was" if archived == self.archived else None
        self.archived = archived
        self.changes.append((record.created_at.timestamp(), "", "archived" if archived else "active"))
        last = self.left.get(by or "") == record.seq - 1 and not self.members
        return fault or (None if by is None or last or self.members.get(by) == "admin" else f"by {by}")

    def _place(self, seq: int, at: datetime, user: str, role: str | None) -> None:
        self.changes.append((at.timestamp(), user, role))
        if role is None:
            self.members.pop(user, None)
            self.left[user] = seq
            return
        if user not in self.members:
            self.joined[user] = seq
        self.members[user] = role

    def unread(self, user: str) -> int:
        """Return how many messages of others somebody has yet to read."""
        since = max(self.places[user].read, self.joined[user])
        news = [text for text in self.texts.values() if text.record.seq > since and not text.deleted]
        return sum(text.record.sender_id != user for text in news)

    def states(self, user: str, began: float, ended: float) -> set[str | None]:
        """Return every role of somebody (or status, of user "") that held at some time between the two."""
        states: set[str | None] = {"active" if user == "" else None}
        for at, whom, state in self.changes:
            if whom == user:
                states = {state} if at < began else states | {state} if at <= ended else states
        return states


def _is_own(text: Text, record: Record) -> bool:
    return text.record.sender_id == record.sender_id


async def stories(dsn: str, users: Mapping[str, str]) -> dict[str, Story]:
    """Return the story of every channel that these people are, or were, in, by its id."""
    connection = await asyncpg.connect(dsn)
    try:
        channels = await connection.fetch(CHANNELS, list(users.values()))
        rows = await connection.fetch(PLACES, [row["id"] for row in channels])
    finally:
        await connection.close()
    logs = await asyncio.gather(*(read(dsn, row["id"]) for row in channels))
    places: dict[str, dict[str, Place]] = {row["id"]: {} for row in channels}
    for row in rows:
        places[row["channel_id"]][row["user_id"]] = Place(*list(row.values())[2:])
    told = {}
    for row, log in zip(channels, logs, strict=True):
        active_at = row["last_message_at"] or row["created_at"]
        told[row["id"]] = Story(log, row["kind"], row["context_type"], active_at, row["created_at"], places[row["id"]])
        told[row["id"]].tell()
    return told
