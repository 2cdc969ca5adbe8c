"""`presence.watch`: who may be told whether somebody else is there. The telling is `realtime.presence.watchers`.

Concurrency: on the event loop; changes of membership are gathered, and asked about by one task.

Guarantees: only contacts, people who share a channel with the watcher at present, and the watcher are told of;
somebody unknown looks like somebody foreign. When the last shared channel ends, and when people are no contacts any
more, so does the watching, in both directions. A direct channel in which the two may not write is none.
"""

from collections.abc import Collection, Sequence
from itertools import islice
from uuid import UUID

from kernel.database import Database
from kernel.rechecks import Rechecks
from modules.messaging.ports import Acquaintances
from modules.messaging.store import members
from realtime.connection import Connection
from realtime.hub import Hub
from realtime.presence.watchers import Watchers, presence_topic, watched_by

PAIRS = 1_000
"""Looked at together: who watches whom."""


class Watching:
    """Lets sockets watch whom they may; `start` it once, and `stop` it."""

    def __init__(self, *, hub: Hub, watchers: Watchers, database: Database, contacts: Acquaintances) -> None:
        self._hub = hub
        self._watchers = watchers
        self._database = database
        self._contacts = contacts
        self._changes = 0
        self._channels: Rechecks[UUID] = Rechecks("watching", self._look_at_channels)
        self._people: Rechecks[str] = Rechecks("watching_contacts", self._look_at_people)

    def start(self) -> None:
        """Begin to look at what has changed."""
        self._channels.start()
        self._people.start()

    async def stop(self) -> None:
        """End."""
        await self._people.stop()
        await self._channels.stop()

    async def watch(self, connection: Connection, user_ids: Sequence[str]) -> None:
        """Tell a socket of these people, as far as it may know, and from now on of them only.

        Raises:
            UnavailableError: who may be watched can't be found out now.
        """
        changes = self._changes
        self._watchers.listen_to(connection, await self._allowed(connection.user_id, user_ids))
        if changes != self._changes:  # before the socket listened, so that nobody has looked at it
            await self._look_at(connection)
        await self._watchers.tell(connection, user_ids)

    def membership_changed(self, channel_id: str) -> None:
        """Look who may no longer watch whom: the membership of a channel has changed."""
        self._changes += 1
        self._channels.one(UUID(channel_id))

    def contacts_changed(self, user_id: str) -> None:
        """Look whom somebody may no longer watch: their contacts have changed."""
        self._changes += 1
        self._people.one(user_id)

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
        if others:
            allowed |= set(await self._contacts.contacts_of(watcher, others))
        return allowed

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

    async def _look_at_people(self, user_ids: Collection[str] | None) -> None:
        """Let these watch nobody whom they may not any more; everybody's doubts are looked at as those of channels."""
        await self._look_at(*(one for user_id in user_ids or () for one in self._hub.connections_of(user_id)))

    async def _look_at(self, *connections: Connection) -> None:
        """All of them in one query for each `PAIRS`; contacts are asked about who shares no channel any more."""
        pairs = ((one, who) for one in connections for who in watched_by(one) if who != one.user_id)
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
            known = set(await self._contacts.contacts_of(user_id, others))
            for one in self._hub.connections_of(user_id):
                for who in others - known:
                    self._hub.unsubscribe(one, presence_topic(who))
