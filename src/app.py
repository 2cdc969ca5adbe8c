"""The composition root: builds every part and wires it to the others. Nothing imports this but entry points."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from bus import Bus, outbox
from contract import about
from kernel import migrate
from kernel.database import Database
from kernel.http import access, cors, health, problem_types, problems
from kernel.http.body import StrictRequest
from kernel.http.head import answering_head
from kernel.http.openapi import PublishedRoutes
from kernel.http.request_id import RequestIdMiddleware
from kernel.ratelimit import RateLimit
from kernel.settings import Settings, load
from kernel.signals import Signals
from kernel.startup import opened
from kernel.telemetry.metrics import OUTBOX_AGE
from modules.contacts.module import Book, ContactsModule, Invitations
from modules.identity.events import UserDeactivated
from modules.identity.module import IdentityModule
from modules.messaging.module import MessagingModule
from modules.notifications.module import NotificationsModule, PersonalSockets
from realtime.backplane import Backplane, MemoryBackplane
from realtime.entrance import Entrance
from realtime.hub import Hub
from realtime.presence.memory import MemoryPresence
from realtime.presence.port import Presence
from realtime.presence.redis import RedisPresence
from realtime.presence.watchers import Watchers
from realtime.redis_backplane import RedisBackplane

MAX_BODY_BYTES = 1024 * 1024
OUTBOX_OVERDUE_S = 60.0
BURST = 4
"""Seconds' worth of requests that a person may make at once, as with frames."""


class Parley:
    """All parts of one process, wired; `running` brings them up and takes them down in order."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database()
        self.bus = Bus()
        self.backplane: Backplane = RedisBackplane(settings.redis_url) if settings.redis_url else MemoryBackplane()
        self.hub = Hub(self.backplane)
        self.presence = presence_of(self.hub, settings)
        self.watchers = Watchers(self.hub, self.presence)
        self.entrance = Entrance(settings)
        self.signals = Signals(self.database)
        self.draining = False
        self.identity = IdentityModule(settings=settings, database=self.database, bus=self.bus)
        self.book = Book(self.database)
        self.messaging = MessagingModule(
            settings=settings,
            database=self.database,
            bus=self.bus,
            hub=self.hub,
            people=self.identity.directory,
            presence=self.presence,
            watchers=self.watchers,
            authenticator=self.identity.authenticator,
            entrance=self.entrance,
            contacts=self.book,
        )
        self.contacts = ContactsModule(
            settings=settings,
            database=self.database,
            bus=self.bus,
            book=self.book,
            people=self.identity.directory,
            channels=self.messaging.invitable,
            directs=self.messaging.directs,
        )
        self.notifications = NotificationsModule(
            settings=settings,
            database=self.database,
            bus=self.bus,
            conversations=self.messaging.conversations,
            invitations=Invitations(self.database, self.identity.directory),
            presence=self.presence,
            recipients=self.identity.directory,
        )
        self.personal = PersonalSockets(
            settings=settings,
            database=self.database,
            hub=self.hub,
            watchers=self.watchers,
            authenticator=self.identity.authenticator,
            admission=self.messaging.admission,
            entrance=self.entrance,
            people=self.identity.directory,
            counts=self.messaging.counts,
            contacts=self.book,
        )
        self.modules = (self.identity, self.contacts, self.messaging, self.notifications, self.personal)
        self.identity.listen(self.signals)  # before those who ask it again
        self.messaging.listen(self.signals)
        self.notifications.listen(self.signals)
        self.personal.listen(self.signals)
        self.identity.subscribe(self.bus)
        self.contacts.subscribe(self.bus)
        self.messaging.subscribe(self.bus)
        self.notifications.subscribe(self.bus)
        self.personal.subscribe(self.bus)
        self.bus.on(UserDeactivated, lambda event: self.messaging.gateway.close_user(event.user_id))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the database and start the parts in order; stop those that were started in the opposite order."""
        async with opened(self.settings, self.database), AsyncExitStack() as started:
            for part in (self.backplane, self.presence, self.watchers, *self.modules, self.signals):
                await part.start()
                started.push_async_callback(part.stop)
            self.bus.start(self.database)
            started.push_async_callback(self.bus.stop)
            yield

    async def drain(self, *, within_s: float = 1.0) -> None:
        """Stop being ready and ask clients to reconnect elsewhere; what was sent is still written."""
        self.draining = True
        async with asyncio.TaskGroup() as endpoints:
            for endpoint in (self.messaging.gateway, self.personal.endpoint):
                endpoints.create_task(endpoint.drain(within_s=within_s))

    def needed(self) -> dict[str, health.Check]:
        """Return what readiness depends on."""
        return {"server": self._serving, "database": self._migrated, "outbox": self._outbox_in_time}

    def wanted(self) -> dict[str, health.Check]:
        """Return what is reported beside it: without Redis messages are still sent, and arrive a little later."""
        return {"redis": self._others_in_reach} if self.settings.redis_url else {}

    async def _others_in_reach(self) -> str | None:
        return None if self.backplane.connected else "away: what other instances do is learnt from the database, later"

    async def _serving(self) -> str | None:
        return "stopping" if self.draining else None

    async def _migrated(self) -> str | None:
        async with self.database.engine.connect() as connection:
            return None if await migrate.at_head(connection) else "migrations are pending"

    async def _outbox_in_time(self) -> str | None:
        async with self.database.connection() as connection:
            age = await outbox.oldest_age_s(connection)
        OUTBOX_AGE.set(age)
        return None if age < OUTBOX_OVERDUE_S else f"the oldest event has been waiting for {age:.0f} s"


def presence_of(hub: Hub, settings: Settings) -> Presence:
    """Return presence over all instances, as far as there can be others."""
    here = MemoryPresence(hub, settings.away_after_s)
    return RedisPresence(here, settings.redis_url) if settings.redis_url else here


def create_app(settings: Settings | None = None, *, parley: Parley | None = None) -> Litestar:
    """Return the web application; settings come from the environment when none are given."""
    parley = parley or Parley(settings or load(os.environ))

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with parley.running():
            yield

    published = PublishedRoutes(
        about(parley.settings.public_url),
        sockets=(*parley.messaging.sockets, *parley.personal.sockets),
        posts=parley.notifications.posts,
    )
    per_s = parley.settings.max_requests_per_s
    app = Litestar(
        route_handlers=[
            *health.routes(parley.needed(), parley.wanted()),
            problem_types.router(),
            *(route for module in parley.modules for route in module.routes),
        ],
        lifespan=[lifespan],
        guards=[access.guard],
        dependencies={"caller": Provide(access.provide_caller, sync_to_thread=False)},
        exception_handlers={Exception: problems.render},
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        state=State(
            {
                access.AUTHENTICATOR: parley.identity.authenticator,
                access.REQUESTS: RateLimit("requests", per_s=per_s, burst=per_s * BURST),
                "parley": parley,
            }
        ),
        openapi_config=published.config,
        cors_config=cors.config(parley.settings.allowed_origins),
        plugins=[published],
        logging_config=None,
        debug=False,
    )
    # around the router, which answers 404 and 405 by itself
    app.asgi_handler = answering_head(RequestIdMiddleware(app.asgi_handler))
    return app
