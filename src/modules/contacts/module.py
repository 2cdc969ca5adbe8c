"""The public face of contacts: who may talk to whom, and invitations.

The `Book` is what others ask; it needs nothing but the database, so that `app` can give it to modules that this one
needs in turn.
"""

from collections.abc import Sequence
from datetime import timedelta

from litestar import Router

from bus import Bus
from kernel.database import Database
from kernel.http.idempotency import Idempotency
from kernel.settings import Settings
from modules.contacts import routes
from modules.contacts.book import Book
from modules.contacts.domain.quotas import Caps
from modules.contacts.ports import Channels, Directs, People
from modules.contacts.service.blocking import Blocking
from modules.contacts.service.contacts import Contacts
from modules.contacts.service.deciding import Deciding, Rules
from modules.contacts.service.finding import Finding
from modules.contacts.service.inviting import Inviting
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.service.limits import Misses
from modules.contacts.service.templates import Templates

__all__ = ["Book", "ContactsModule"]


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
        templates = Templates(database)
        self.inviting = inviting(settings, database, people, channels, templates, lifecycle)
        services = {
            "blocking": Blocking(database, people, lifecycle, directs, require_contact=settings.require_contact),
            "contacts": Contacts(database, book, people, lifecycle),
            "idempotency": Idempotency(database),
            "inviting": self.inviting,
            "templates": templates,
        }
        self.routes: Sequence[Router] = [routes.router(**services)]

    def subscribe(self, bus: Bus) -> None:
        """Hear what other modules publish."""

    async def start(self) -> None:
        """Begin to expire and to remind."""

    async def stop(self) -> None:
        """End after what is in hand."""


def inviting(
    settings: Settings,
    database: Database,
    people: People,
    channels: Channels,
    templates: Templates,
    lifecycle: Lifecycle,
) -> Inviting:
    """Return what invites, as the settings have it."""
    cooldown = settings.reinvite_cooldown_s
    rules = Rules(
        caps=Caps(
            settings.invites_per_sender_per_day, settings.invites_per_recipient_per_day, settings.invites_per_day
        ),
        cooldown=None if cooldown is None else timedelta(seconds=cooldown),
        lifetime=timedelta(seconds=settings.invite_ttl_s),
        reminder_before=timedelta(seconds=settings.invite_reminder_before_s),
    )
    misses = Misses(
        database,
        per_account=settings.invite_misses_per_account_per_hour,
        per_address=settings.invite_misses_per_address_per_hour,
    )
    return Inviting(templates, misses, Finding(database, people, channels), Deciding(rules, lifecycle))
