"""The personal socket, wired: its endpoint, what is told there, and notices."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from litestar import Router
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from bus import Bus
from kernel.auth import Authenticator
from kernel.database import Database
from kernel.http.idempotency import Idempotency
from kernel.settings import Settings
from kernel.signals import Signals
from modules.contacts.events import CONTACTS_SIGNAL
from modules.identity.events import USER_SIGNAL, UserDeactivated
from modules.messaging.events import ChannelRead, MessageCreated, MessageDeleted, ParticipantLeft
from modules.notifications.personal.badges import AWAY_SIGNAL, Badges
from modules.notifications.personal.circle import Circle
from modules.notifications.personal.contract import PERSONAL
from modules.notifications.personal.deltas import DELTAS, Delta
from modules.notifications.personal.endpoint import PersonalEndpoint
from modules.notifications.personal.hints import Hints
from modules.notifications.personal.notices import Notices
from modules.notifications.personal.ports import Contacts, Counts, People
from modules.notifications.personal.post import TOPIC, Post
from modules.notifications.personal.routes import HANDLERS
from realtime.admission import Admission
from realtime.company import Visitors
from realtime.endpoint import socket_route
from realtime.entrance import Entrance
from realtime.expulsion import Expulsion
from realtime.hub import Hub
from realtime.presence.watchers import Watchers


class PersonalSockets:
    """`/ws/notifications`, and what is told there. `start` needs a running loop."""

    def __init__(  # noqa: PLR0913 - the ports that it needs
        self,
        *,
        settings: Settings,
        database: Database,
        hub: Hub,
        watchers: Watchers,
        authenticator: Authenticator,
        admission: Admission,
        entrance: Entrance,
        people: People,
        counts: Counts,
        contacts: Contacts | None = None,
        deltas: Sequence[Delta] = DELTAS,
    ) -> None:
        """Wire it. `admission` and `entrance` are those of the chat socket, too; without `contacts` nobody has any."""
        visitors = Visitors(hub, TOPIC)
        self._deltas = deltas
        self.circle = Circle(watchers, visitors, contacts)
        self.post = Post(hub, visitors)
        self.badges = Badges(database=database, hub=hub, visitors=visitors, counts=counts)
        self.hints = Hints(
            hub=hub,
            visitors=visitors,
            counts=counts,
            on_changed=self.badges.changed,
            on_doubt=self.badges.in_doubt,
            on_first=self.badges.missed_something,
        )
        self.endpoint = PersonalEndpoint(
            hub=hub,
            visitors=visitors,
            circle=self.circle,
            authenticator=authenticator,
            admission=admission,
            entrance=entrance,
            settings=settings,
        )
        self.expulsion = Expulsion(visitors, people, self.endpoint.close_user)
        notices, idempotency = Notices(people, self.post), Idempotency(database)
        dependencies = {
            "notices": Provide(lambda: notices, sync_to_thread=False),
            "idempotency": Provide(lambda: idempotency, sync_to_thread=False),
        }
        self.routes: Sequence[ControllerRouterHandler] = [
            Router(path="/", route_handlers=HANDLERS, dependencies=dependencies),
            socket_route(PERSONAL.address, self.endpoint),
        ]
        self.sockets = (PERSONAL,)

    def subscribe(self, bus: Bus) -> None:
        """Hear what is committed here; what others commit, they tell."""
        bus.on(MessageCreated, self.hints.sent)
        bus.on(MessageDeleted, self.hints.deleted)
        bus.on(ChannelRead, self.hints.read)
        bus.on(ParticipantLeft, self.hints.left)
        bus.on(UserDeactivated, lambda event: self.endpoint.close_user(event.user_id))
        for delta in self._deltas:
            bus.on(delta.event, partial(self._tell, delta))

    def listen(self, signals: Signals) -> None:
        """Hear what other instances change."""
        signals.on(USER_SIGNAL, self.expulsion.user_changed)
        signals.on(CONTACTS_SIGNAL, self.circle.changed)
        signals.on(AWAY_SIGNAL, self.badges.other_was_away)
        signals.on_doubt(self.expulsion.anyone_changed)
        signals.on_doubt(self.circle.anyone_changed)
        signals.on_doubt(self.badges.missed_something)

    async def start(self) -> None:
        """Begin."""
        self.expulsion.start()
        self.circle.start()
        self.badges.start()
        self.hints.start()

    async def stop(self) -> None:
        """End; sockets were sent elsewhere before."""
        await self.hints.stop()
        await self.badges.stop()
        await self.circle.stop()
        await self.expulsion.stop()

    def _tell(self, delta: Delta, event: Any) -> None:
        for user_ids, content in delta.tells(event):
            self.post.tell(user_ids, content)
