"""The public face of contacts: who may talk to whom, and invitations.

The `Book` is what others ask; it needs nothing but the database, so that `app` can give it to modules that this one
needs in turn.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from litestar import Router

from bus import Bus
from kernel.clock import Clock, now
from kernel.database import Database
from kernel.http.idempotency import Idempotency
from kernel.settings import Settings
from kernel.worker import Worker
from modules.contacts import routes
from modules.contacts.book import Book
from modules.contacts.domain.quotas import Caps
from modules.contacts.invitations import Invitations
from modules.contacts.ports import Channels, Directs, People
from modules.contacts.service import departures
from modules.contacts.service.answering import Answering
from modules.contacts.service.blocking import Blocking
from modules.contacts.service.contacts import Contacts
from modules.contacts.service.deciding import Deciding, Rules
from modules.contacts.service.departures import Departures
from modules.contacts.service.finding import Finding
from modules.contacts.service.inviting import Inviting
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.service.limits import Misses
from modules.contacts.service.listing import Listing
from modules.contacts.service.statistics import Statistics
from modules.contacts.service.templates import Templates
from modules.contacts.sweeping import Expiry, Forgetting, Reminders
from modules.identity.events import UserDeactivated

__all__ = ["Book", "ContactsModule", "Invitations"]


class ContactsModule:
    """Contacts, blocks and invitations. `start` needs a running loop; several instances may run on one database."""

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
        clock: Clock = now,
    ) -> None:
        lifecycle = Lifecycle(bus, directs, require_contact=settings.require_contact)
        self.answering = Answering(
            database=database, people=people, channels=channels, lifecycle=lifecycle, clock=clock
        )
        self._departures = Departures(database=database, people=people, lifecycle=lifecycle, clock=clock)
        self.expiry = Expiry(database=database, people=people, lifecycle=lifecycle, clock=clock)
        self.reminders = Reminders(database=database, people=people, lifecycle=lifecycle, clock=clock)
        self.forgetting = Forgetting(database=database, clock=clock)
        templates = Templates(database)
        self.inviting = inviting(settings, database, people, channels, templates, lifecycle)
        services = {
            "answering": self.answering,
            "blocking": Blocking(database, people, lifecycle, directs, require_contact=settings.require_contact),
            "contacts": Contacts(database, book, people, lifecycle),
            "idempotency": Idempotency(database),
            "inviting": self.inviting,
            "listing": Listing(database, people, clock),
            "statistics": Statistics(database),
            "templates": templates,
        }
        self.routes: Sequence[Router] = [routes.router(**services)]
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(self, bus: Bus) -> None:
        """Hear what other modules publish."""
        bus.consume(departures.CONSUMER, UserDeactivated, self._departures.deactivated)

    async def start(self) -> None:
        """Begin to expire and to remind."""
        self._tasks = [asyncio.create_task(worker.run(), name=type(worker).__name__) for worker in self._workers()]

    async def stop(self) -> None:
        """End after what is in hand."""
        for worker in self._workers():
            worker.stop()
        await asyncio.gather(*self._tasks)

    def _workers(self) -> tuple[Worker, ...]:
        return self.expiry, self.reminders, self.forgetting


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
