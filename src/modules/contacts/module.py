"""The public face of contacts: who may talk to whom, and invitations.

The `Book` is what others ask; it needs nothing but the database, so that `app` can give it to modules that this one
needs in turn.
"""

from collections.abc import Sequence

from litestar import Router

from bus import Bus
from kernel.database import Database
from kernel.settings import Settings
from modules.contacts.book import Book
from modules.contacts.invitations import Invitations
from modules.contacts.ports import Channels, Directs, People
from modules.contacts.service.lifecycle import Lifecycle

__all__ = ["Book", "ContactsModule", "Invitations"]


class ContactsModule:
    """Contacts, blocks and invitations. `start` needs a running loop."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        bus: Bus,
        book: Book,
        people: People,
        channels: Channels,
        directs: Directs,
    ) -> None:
        lifecycle = Lifecycle(bus, directs, require_contact=settings.require_contact)
        self._parts = (database, book, people, channels, lifecycle)  # replaced by what needs them
        self.routes: Sequence[Router] = []

    def subscribe(self, bus: Bus) -> None:
        """Hear what other modules publish."""

    async def start(self) -> None:
        """Begin to expire and to remind."""

    async def stop(self) -> None:
        """End after what is in hand."""
