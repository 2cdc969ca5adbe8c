"""Messaging's face: what `app` wires."""

from collections.abc import Sequence

from litestar.types import ControllerRouterHandler

from bus import Bus
from kernel.auth import Authenticator
from kernel.database import Database
from kernel.http.idempotency import Idempotency
from kernel.ratelimit import RateLimit
from kernel.settings import Settings
from kernel.signals import Signals
from modules.contacts.events import CONTACTS_SIGNAL, InviteAccepted
from modules.identity.events import USER_SIGNAL, UserDeactivated
from modules.messaging.contacts import Acquaintance
from modules.messaging.contexts import Contexts
from modules.messaging.conversations import Conversations
from modules.messaging.counts import Counts
from modules.messaging.events import MessageCreated, MessageDeleted, MessageRevised
from modules.messaging.gateway.broadcast import Broadcast
from modules.messaging.gateway.contract import CHAT
from modules.messaging.gateway.gateway import Gateway
from modules.messaging.gateway.receipts import Receipts
from modules.messaging.gateway.reconciler import Reconciler
from modules.messaging.gateway.resumption import Resumption
from modules.messaging.gateway.retelling import MARKS_SIGNAL, Retelling
from modules.messaging.gateway.session import Services
from modules.messaging.gateway.typing import Typing
from modules.messaging.gateway.watching import Watching
from modules.messaging.membership import Membership
from modules.messaging.ports import Contacts, People
from modules.messaging.routes import router
from modules.messaging.search.indexer import Indexer
from modules.messaging.search.indexing import rebuild as rebuild_search
from modules.messaging.search.searching import Searching
from modules.messaging.service import departures, invitable
from modules.messaging.service.channels import Channels
from modules.messaging.service.departures import Departures
from modules.messaging.service.directs import Directs
from modules.messaging.service.groups import Groups
from modules.messaging.service.inbox import Inbox
from modules.messaging.service.invitable import Invitable
from modules.messaging.service.marking import Marking
from modules.messaging.service.opening import Opening
from modules.messaging.service.reading import Reading
from modules.messaging.service.rebuilding import rebuild as rebuild_state
from modules.messaging.service.writing import Writing
from modules.messaging.tickets import Tickets
from modules.messaging.writer import Writer
from realtime.admission import Admission
from realtime.endpoint import socket_route
from realtime.entrance import Entrance
from realtime.expulsion import Expulsion
from realtime.hub import Hub
from realtime.presence.port import Presence
from realtime.presence.watchers import Watchers

__all__ = ["MessagingModule", "rebuild_search", "rebuild_state"]


class MessagingModule:
    """Contexts, channels, messages and the chat socket."""

    def __init__(  # noqa: PLR0913 - the ports that it needs
        self,
        *,
        settings: Settings,
        database: Database,
        bus: Bus,
        hub: Hub,
        people: People,
        presence: Presence,
        watchers: Watchers,
        authenticator: Authenticator,
        entrance: Entrance,
        contacts: Contacts,
    ) -> None:
        tickets = Tickets(database)
        reading = Reading(database, people)
        broadcast = self._broadcast = Broadcast(hub, reading)
        writer = Writer(database, bus, broadcast)
        inbox = Inbox(database, people)
        writing = Writing(people, writer, settings)
        self.receipts = Receipts(hub)
        self.marking = Marking(database, bus, self.receipts.tell)
        membership = Membership(bus, broadcast)
        self._departures = Departures(membership)
        contexts = Contexts(database, people, membership, max_participants=settings.max_participants)
        acquaintance = Acquaintance(people, contacts, require_contact=settings.require_contact)
        changes = RateLimit("changes", per_s=settings.messages_per_s, burst=settings.message_burst)
        limit = settings.max_participants
        channels = Channels(database, people, presence, inbox)
        self.directs = Directs(membership)
        opening = Opening(acquaintance, self.directs, broadcast, changes, max_participants=limit)
        self.invitable = Invitable(database, people, membership, max_participants=limit)
        groups = Groups(database, membership, acquaintance, changes, max_participants=limit)
        self.conversations = Conversations(database)
        self.counts = Counts(database)
        self.writer = writer
        resumption = Resumption(database, reading, broadcast)
        self.typing = Typing(hub, database)
        broadcast.on_record(self.typing.sent)
        self.watching = Watching(hub=hub, watchers=watchers, database=database, contacts=contacts)
        self.admission = Admission(authenticator=authenticator, tickets=tickets, people=people, settings=settings)
        self.gateway = Gateway(
            database=database,
            hub=hub,
            broadcast=broadcast,
            services=Services(
                writing=writing,
                reading=reading,
                marking=self.marking,
                feeds=broadcast.feeds,
                authenticator=authenticator,
                resumption=resumption,
                typing=self.typing,
                watching=self.watching,
                frames_per_s=settings.max_frames_per_s,
            ),
            admission=self.admission,
            entrance=entrance,
            settled=self._settled,
            settings=settings,
        )
        self.indexer = Indexer(database)
        bus.on(MessageCreated, self.indexer.hear)
        bus.on(MessageRevised, self.indexer.hear)
        bus.on(MessageDeleted, self.indexer.hear)
        self.expulsion = Expulsion(hub, people, self.gateway.close_user)
        self.reconciler = Reconciler(
            database=database,
            hub=hub,
            broadcast=broadcast,
            resumption=resumption,
            poll=settings.redis_url is not None,
        )
        self.retelling: Retelling | None = None
        if settings.redis_url is not None:
            self.retelling = Retelling(database=database, hub=hub, broadcast=broadcast, receipts=self.receipts)
        self.routes: Sequence[ControllerRouterHandler] = [
            router(
                contexts=contexts,
                inbox=inbox,
                channels=channels,
                opening=opening,
                groups=groups,
                idempotency=Idempotency(database),
                writing=writing,
                reading=reading,
                marking=self.marking,
                tickets=tickets,
                searching=Searching(database, people, self.indexer),
            ),
            socket_route("/ws/chat", self.gateway),
        ]
        self.sockets = (CHAT,)

    async def _settled(self) -> None:
        """Wait until every request that was taken is answered."""
        await self.writer.settled()
        await self._broadcast.feeds.settled()

    def subscribe(self, bus: Bus) -> None:
        """Hear what other modules publish."""
        bus.consume(departures.CONSUMER, UserDeactivated, self._departures.deactivated)
        bus.consume(invitable.CONSUMER, InviteAccepted, self.invitable.accepted)

    def listen(self, signals: Signals) -> None:
        """Hear what other instances change."""
        for part in (self.reconciler, self.watching, self.typing):
            signals.on("parley_membership", part.membership_changed)
        signals.on(CONTACTS_SIGNAL, self.watching.contacts_changed)
        signals.on(USER_SIGNAL, self.expulsion.user_changed)
        signals.on_doubt(self.expulsion.anyone_changed)
        signals.on_doubt(self.reconciler.anything_changed)
        signals.on_doubt(self.watching.anything_changed)
        if self.retelling is not None:
            signals.on(MARKS_SIGNAL, self.retelling.others_were_away)
            signals.on_doubt(self.retelling.anything_moved)

    async def start(self) -> None:
        """Begin to write."""
        self.writer.start()
        self.reconciler.start()
        self.expulsion.start()
        self.watching.start()
        self.indexer.start()
        if self.retelling is not None:
            self.retelling.start()

    async def stop(self) -> None:
        """Finish what is queued."""
        if self.retelling is not None:
            await self.retelling.stop()
        await self.indexer.stop()
        await self.watching.stop()
        await self.expulsion.stop()
        await self.reconciler.stop()
        await self.marking.stop()
        self.receipts.stop()
        await self.writer.stop()
