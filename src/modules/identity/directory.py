"""The directory: profiles by id, from memory where possible. It is asked on every request and message.

A change that this process made is seen at once, one that another made as soon as it is signalled; should signals be
lost, a profile is at most `TTL_S` seconds old.
"""

import time
from collections import OrderedDict
from collections.abc import Collection

from kernel.database import Database
from modules.identity import domain, store
from modules.identity.store import Profile

TTL_S = 10.0
CAPACITY = 50_000


class Directory:
    """Looks people up. Unknown ids are asked for anew each time, so that somebody new is known at once."""

    def __init__(self, database: Database, *, ttl_s: float = TTL_S, capacity: int = CAPACITY) -> None:
        self._database = database
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._kept: OrderedDict[str, tuple[float, Profile]] = OrderedDict()
        self._changes = 0

    def cached(self, user_id: str) -> Profile | None:
        """Return the profile if it is in memory and fresh."""
        kept = self._kept.get(user_id)
        if kept is None or kept[0] <= time.monotonic():
            return None
        self._kept.move_to_end(user_id)
        return kept[1]

    async def get(self, user_id: str) -> Profile | None:
        """Return one person; None when unknown."""
        return self.cached(user_id) or (await self.find([user_id])).get(user_id)

    async def find(self, user_ids: Collection[str]) -> dict[str, Profile]:
        """Return those who exist, deactivated ones under their pseudonyms; takes at most one query."""
        found = {user_id: profile for user_id in user_ids if (profile := self.cached(user_id))}
        missing = {user_id for user_id in user_ids if user_id not in found}
        if missing:
            found |= await self._load(missing)
        return found

    async def by_pins(self, pins: Collection[str]) -> dict[str, str]:
        """Return the ids of active people by the pins asked for, as they were written; always one query."""
        hashes = {pin: domain.pin_hash(pin) for pin in pins}
        async with self._database.connection() as connection:
            found = await store.by_pins(connection, list(hashes.values()))
        return {pin: found[digest] for pin, digest in hashes.items() if digest in found}

    async def by_usernames(self, usernames: Collection[str]) -> dict[str, str]:
        """Return the ids of active people by the names asked for, whatever their case; always one query."""
        async with self._database.connection() as connection:
            found = await store.by_usernames(connection, [name.lower() for name in usernames])
        return {name: found[name.lower()] for name in usernames if name.lower() in found}

    async def matching(self, user_ids: Collection[str], text: str) -> set[str]:
        """Return those of these people whose username or display name contains a text, whatever its case."""
        async with self._database.connection() as connection:
            return await store.matching(connection, user_ids, text)

    def forget(self, user_id: str) -> None:
        """Read this person anew next time."""
        self._changes += 1
        self._kept.pop(user_id, None)

    def forget_all(self) -> None:
        """Read everybody anew next time."""
        self._changes += 1
        self._kept.clear()

    async def _load(self, user_ids: Collection[str]) -> dict[str, Profile]:
        changes = self._changes
        async with self._database.connection() as connection:
            found = {profile.user_id: profile for profile in await store.find(connection, user_ids)}
        if changes == self._changes:  # else what was read may be from before the change
            self._keep(found)
        return found

    def _keep(self, found: dict[str, Profile]) -> None:
        expires = time.monotonic() + self._ttl_s
        for user_id, profile in found.items():
            self._kept[user_id] = (expires, profile)
            self._kept.move_to_end(user_id)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
