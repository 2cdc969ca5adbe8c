"""People without a directory: every id is somebody's, and says how they are called."""

from collections.abc import Collection, Mapping

import msgspec

from kernel.database import Transaction
from modules.contacts.domain.pairs import Pair


class Somebody(msgspec.Struct, frozen=True):
    """A person."""

    user_id: str
    active: bool = True
    avatar_url: str | None = None

    @property
    def username(self) -> str:
        """The same as the id."""
        return self.user_id

    @property
    def display_name(self) -> str:
        """A name to show."""
        return self.user_id.title()


class Everybody:
    """People of whom every id is somebody's."""

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Somebody]:
        """See `People`."""
        return {user_id: Somebody(user_id) for user_id in user_ids}

    async def by_pins(self, pins: Collection[str]) -> Mapping[str, str]:
        """See `People`."""
        return dict.fromkeys(pins, "ana")

    async def by_usernames(self, usernames: Collection[str]) -> Mapping[str, str]:
        """See `People`."""
        return {name: name for name in usernames}

    async def matching(self, user_ids: Collection[str], text: str) -> Collection[str]:
        """See `People`."""
        return [user_id for user_id in user_ids if text in user_id]


class NoDirects:
    """Nobody has a direct channel."""

    async def open(self, _tx: Transaction, _pairs: Collection[Pair]) -> None:
        """See `Directs`."""

    async def close(self, _tx: Transaction, _pairs: Collection[Pair]) -> None:
        """See `Directs`."""
