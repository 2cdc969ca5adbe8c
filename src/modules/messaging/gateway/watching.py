"""`presence.watch`: who is told whether somebody else is there.

Overview: a socket that watches a person listens to the topic `presence:{user_id}`. The instance whose devices changed
tells the others on that topic, without content; each asks `Presence` for itself and tells its own watchers.

Concurrency: on the event loop; changes are gathered, and asked about by one task.

Guarantees:
- Only contacts, people who share a channel with the watcher at present, and the watcher are told of; somebody unknown
  looks like somebody foreign. When the last shared channel ends, so does the watching, in both directions.
- A watcher is told a status when asking for it and when it has changed, not otherwise.
- `offline` is told after `GRACE_S`, so that somebody who reconnects doesn't blink. Everything else is told at once.
- With Redis away for longer than that, watchers are told what their own instance sees.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from uuid import UUID

from msgspec import UNSET

from kernel.clock import rfc3339
from kernel.database import Database
from kernel.rechecks import Rechecks
from modules.messaging.gateway import server_frames as server
from modules.messaging.ports import Contacts
from modules.messaging.store import members
from realtime.connection import Connection
from realtime.frame import Frame
from realtime.hub import Hub
from realtime.presence.port import Presence, Status

PREFIX = "presence:"
CHANGED = b"P"
"""Between instances: somebody's devices have changed."""
GRACE_S = 5.0
CHUNK = 1_000
PAIRS = 1_000
"""Looked at together: who watches whom."""


def presence_topic(user_id: str) -> str:
    """Return the topic of a person's presence."""
    return PREFIX + user_id


def watched_person(topic: str) -> str | None:
    """Return the person whose presence this topic is about."""
    return topic.removeprefix(PREFIX) if topic.startswith(PREFIX) else None


class Watching:
    """Knows what watchers were told; `start` it once, and `stop` it."""

    def __init__(self, *, hub: Hub, presence: Presence, database: Database, contacts: Contacts | None) -> None:
        self._hub = hub
        self._presence = presence
        self._database = database
        self._contacts = contacts
        self._told: dict[str, Status] = {}
        self._leaving: dict[str, asyncio.TimerHandle | None] = {}
        self._changes = 0
        self._people: Rechecks[str] = Rechecks("presence", self._look)
        self._channels: Rechecks[UUID] = Rechecks("watching", self._look_at_channels)
        presence.on_change(self._person_changed)
        presence.on_doubt(self._people.everything)
        hub.on_doubt(self._people.everything)
        hub.on(CHANGED, lambda topic, _: self._recheck(topic.removeprefix(PREFIX)))
        hub.on_idle(self._unwatched)

    def start(self) -> None:
        """Begin."""
        self._people.start()
        self._channels.start()

    async def stop(self) -> None:
        """End."""
        await self._people.stop()
        await self._channels.stop()
        for timer in self._leaving.values():
            if timer is not None:
                timer.cancel()

    async def watch(self, connection: Connection, user_ids: Sequence[str]) -> None:
        """Tell a socket of these people, as far as it may know, and from now on of them only.

        Raises:
            UnavailableError: who may be watched can't be found out now.
        """
        changes = self._changes
        self._listen_to(connection, await self._allowed(connection.user_id, user_ids))
        if changes != self._changes:  # before the socket listened, so that nobody has looked at it
            await self._look_at(connection)
        await self._hub.backplane.settled()
        watched = [user_id for user_id in dict.fromkeys(user_ids) if _watches(connection, user_id)]
        for user_id, status in (await self._presence.statuses(watched)).items():
            if _watches(connection, user_id):
                self._take(user_id, status)
                connection.send_ephemeral(_frame(user_id, self._told[user_id]))

    def membership_changed(self, channel_id: str) -> None:
        """Look who may no longer watch whom: the membership of a channel has changed."""
        self._changes += 1
        self._channels.one(UUID(channel_id))

    def anything_changed(self) -> None:
        """Look at everybody who watches: changes may have been missed."""
        self._changes += 1
        self._channels.everything()

    async def _allowed(self, watcher: str, user_ids: Collection[str]) -> set[str]:
        """Return those of these people whom somebody may watch."""
        allowed = {watcher} & set(user_ids)
        others = set(user_ids) - allowed
        if others:
            async with self._database.connection() as connection:
                allowed |= await members.acquaintances(connection, watcher, others)
        if others and self._contacts is not None:
            allowed |= set(await self._contacts.contacts_of(watcher, others))
        return allowed

    def _listen_to(self, connection: Connection, user_ids: Iterable[str]) -> None:
        wanted = {presence_topic(user_id) for user_id in user_ids}
        present = {topic for topic in connection.topics if watched_person(topic) is not None}
        for topic in present - wanted:
            self._hub.unsubscribe(connection, topic)
        if connection.closed:
            return
        for topic in wanted - present:
            self._hub.subscribe(connection, topic)

    def _person_changed(self, user_id: str) -> None:
        """Tell everybody that somebody's devices here have changed."""
        self._hub.relay(presence_topic(user_id), CHANGED, b"")
        self._recheck(user_id)

    def _recheck(self, user_id: str) -> None:
        if user_id in self._told:
            self._people.one(user_id)

    async def _look(self, user_ids: Collection[str] | None) -> None:
        people = [user_id for user_id in (self._told if user_ids is None else user_ids) if user_id in self._told]
        for start in range(0, len(people), CHUNK):
            statuses = await self._presence.statuses(people[start : start + CHUNK])
            for user_id, status in statuses.items():
                if user_id in self._told:
                    self._take(user_id, status)

    def _take(self, user_id: str, status: Status) -> None:
        """Tell watchers of a status that is new to them; who has just gone may be back in a moment."""
        told = self._told.get(user_id)
        if told is not None and status.status == "offline" != told.status:
            if user_id not in self._leaving:
                loop = asyncio.get_running_loop()
                self._leaving[user_id] = loop.call_later(GRACE_S, self._gone, user_id)
            if self._leaving[user_id] is not None:
                return
        self._forget_leaving(user_id)
        self._told[user_id] = status
        if told is not None and told.status != status.status:
            frame = _frame(user_id, status)
            for connection in self._hub.listeners(presence_topic(user_id)):
                connection.send_ephemeral(frame)

    def _gone(self, user_id: str) -> None:
        self._leaving[user_id] = None
        self._people.one(user_id)

    def _forget_leaving(self, user_id: str) -> None:
        timer = self._leaving.pop(user_id, None)
        if timer is not None:
            timer.cancel()

    def _unwatched(self, topic: str) -> None:
        user_id = watched_person(topic)
        if user_id is not None:
            self._told.pop(user_id, None)
            self._forget_leaving(user_id)

    async def _look_at_channels(self, channels: Collection[UUID] | None) -> None:
        """Let nobody watch who may not any more: only those are concerned who left, or who watch one of them."""
        if channels is None:
            concerned = set(self._hub.connections)
        else:
            async with self._database.connection() as connection:
                left = await members.leavers(connection, channels)
            concerned = {one for user_id in left for one in self._hub.connections_of(user_id)}
            concerned |= {one for user_id in left for one in self._hub.listeners(presence_topic(user_id))}
        await self._look_at(*concerned)

    async def _look_at(self, *connections: Connection) -> None:
        """All of them in one query for each `PAIRS`; contacts are asked about who shares no channel any more."""
        pairs = ((one, who) for one in connections for who in _watched_by(one) if who != one.user_id)
        while some := list(islice(pairs, PAIRS)):
            await self._look_at_pairs(some)

    async def _look_at_pairs(self, pairs: Sequence[tuple[Connection, str]]) -> None:
        async with self._database.connection() as connection:
            allowed = await members.acquainted(connection, {(one.user_id, who) for one, who in pairs})
        foreign: dict[str, set[str]] = {}
        for one, who in pairs:
            if (one.user_id, who) not in allowed:
                foreign.setdefault(one.user_id, set()).add(who)
        for user_id, others in foreign.items():
            known = set() if self._contacts is None else set(await self._contacts.contacts_of(user_id, others))
            for one in self._hub.connections_of(user_id):
                for who in others - known:
                    self._hub.unsubscribe(one, presence_topic(who))


def _watched_by(connection: Connection) -> list[str]:
    return [person for topic in connection.topics if (person := watched_person(topic)) is not None]


def _watches(connection: Connection, user_id: str) -> bool:
    return presence_topic(user_id) in connection.topics


def _frame(user_id: str, status: Status) -> Frame:
    at = status.last_seen_at
    last_seen_at = UNSET if at is None else rfc3339(at)
    return server.frame(server.Presence(user_id=user_id, status=status.status, last_seen_at=last_seen_at))
