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
        self._departures = Departures(database=database, people=people, lifecycle=lifecycle, clock=clock)
        self._workers: tuple[Worker, ...] = (
            Expiry(database=database, people=people, lifecycle=lifecycle, clock=clock),
            Reminders(database=database, people=people, lifecycle=lifecycle, clock=clock),
            Forgetting(database=database, clock=clock),
        )
        self._tasks: list[asyncio.Task[None]] = []
        templates = Templates(database)
        router = routes.router(
            answering=Answering(database=database, people=people, channels=channels, lifecycle=lifecycle, clock=clock),
            blocking=Blocking(
                database=database,
                people=people,
                lifecycle=lifecycle,
                directs=directs,
                clock=clock,
                require_contact=settings.require_contact,
            ),
            contacts=Contacts(database, book, people, lifecycle),
            idempotency=Idempotency(database),
            inviting=Inviting(
                templates=templates,
                misses=misses_of(settings, database),
                finding=Finding(database, people, channels),
                deciding=Deciding(rules_of(settings), lifecycle, clock),
                clock=clock,
            ),
            listing=Listing(database, people, clock),
            statistics=Statistics(database),
            templates=templates,
        )
        self.routes: Sequence[Router] = [router]

    def subscribe(self, bus: Bus) -> None:
        """Hear what other modules publish."""
        bus.consume(departures.CONSUMER, UserDeactivated, self._departures.deactivated)

    async def start(self) -> None:
        """Begin to expire, to remind and to forget."""
        self._tasks = [asyncio.create_task(worker.run(), name=type(worker).__name__) for worker in self._workers]

    async def stop(self) -> None:
        """End after what is in hand."""
        for worker in self._workers:
            worker.stop()
        await asyncio.gather(*self._tasks)


def rules_of(settings: Settings) -> Rules:
    """Return what the operator has set about invitations."""
    per_sender, per_recipient = settings.invites_per_sender_per_day, settings.invites_per_recipient_per_day
    cooldown = settings.reinvite_cooldown_s
    return Rules(
        caps=Caps(per_sender, per_recipient, settings.invites_per_day),
        cooldown=None if cooldown is None else timedelta(seconds=cooldown),
        lifetime=timedelta(seconds=settings.invite_ttl_s),
        reminder_before=timedelta(seconds=settings.invite_reminder_before_s),
    )


def misses_of(settings: Settings, database: Database) -> Misses:
    """Return what counts look-ups of nobody, up to the limits that the operator has set."""
    per_account, per_address = settings.invite_misses_per_account_per_hour, settings.invite_misses_per_address_per_hour
    return Misses(database, per_account=per_account, per_address=per_address)
