"""Closes the sockets of people who were deactivated, whichever instance did it.

Guarantees: who is deactivated loses their sockets here as soon as that is signalled, and when signals were lost, as
soon as they are heard again; a person who is merely changed keeps them.
"""

from collections.abc import Callable, Collection

from kernel.rechecks import Rechecks
from realtime.admission import People
from realtime.company import Company

CHUNK = 1_000


class Expulsion:
    """Asks the directory about connected people; `start` it once, and `stop` it."""

    def __init__(self, company: Company, people: People, close: Callable[[str], None]) -> None:
        self._company = company
        self._people = people
        self._close = close
        self._rechecks: Rechecks[str] = Rechecks("expulsion", self._look)
        self.start, self.stop = self._rechecks.start, self._rechecks.stop

    def user_changed(self, user_id: str) -> None:
        """Look whether they may stay, if they are here."""
        if self._company.connections_of(user_id):
            self._rechecks.one(user_id)

    def anyone_changed(self) -> None:
        """Look at everybody who is here."""
        self._rechecks.everything()

    async def _look(self, user_ids: Collection[str] | None) -> None:
        if user_ids is None:
            user_ids = {connection.user_id for connection in self._company.connections}
        ids = list(user_ids)
        for start in range(0, len(ids), CHUNK):
            await self._look_at(ids[start : start + CHUNK])

    async def _look_at(self, user_ids: Collection[str]) -> None:
        found = await self._people.find(user_ids)
        for user_id in user_ids:
            person = found.get(user_id)
            if person is None or not person.active:
                self._close(user_id)
