"""A notifications module on a real database, driven step by step or running, in a world of its own."""

import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import msgspec
import pytest
import uvicorn
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from bus import Bus, Event
from kernel.auth import Principal
from kernel.database import Database
from kernel.http import access, problems
from kernel.http.body import StrictRequest
from kernel.orm import metadata
from kernel.settings import Settings
from modules.notifications import models  # noqa: F401 - registers the tables
from modules.notifications.domain.delivery import Delivery
from modules.notifications.module import NotificationsModule, _sms
from modules.notifications.transports import Transport
from modules.notifications.transports.twilio_webhooks import report
from tests.modules.notifications.world import World
from tests.support.databases import Databases, execute
from tests.support.servers import PLAIN
from tests.support.twilio_server import Sms, TwilioServer, twilio_server

PUBLIC_URL = "https://parley.example/behind/a/proxy"
TABLES = [name for name in metadata.tables if name.startswith(("notification_", "bus_"))]
NOON = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that the test turns."""

    def __init__(self, start: datetime = NOON) -> None:
        self.time = start

    def __call__(self) -> datetime:
        """Return the time, a little later each time it is asked."""
        self.time += timedelta(microseconds=1)
        return self.time

    def forward(self, **duration: float) -> None:
        """Let time pass."""
        self.time += timedelta(**duration)


class House:
    """A module with its surroundings, and the few questions that tests ask."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        world: Any,
        clock: Callable[[], datetime],
        transports: Mapping[str, Transport] | None = None,
        console: TextIO = sys.stdout,
    ) -> None:
        self.database = database
        self.bus = Bus()
        self.module = NotificationsModule(
            settings=settings,
            database=database,
            bus=self.bus,
            conversations=world,
            invitations=world,
            presence=world,
            recipients=world,
            transports=sms_of(settings, console) if transports is None else transports,
            console=console,
            clock=clock,
        )
        self.module.subscribe(self.bus)

    async def publish(self, *events: Event) -> None:
        """Let other modules publish, and the consumer hear of it."""
        async with self.database.transaction() as tx:
            await self.bus.publish(tx, *events)
        await self.bus._consumers["notifications"].run_batch(self.database)

    async def decide(self) -> list[Delivery]:
        """Conclude the alerts that are due; return the ledger."""
        while await self.module.alert_worker.round() == 0:
            pass
        return await self.ledger()

    async def send(self) -> list[Delivery]:
        """Send what is pending, one round of it; return the ledger."""
        worker = self.module.delivery_worker
        await worker.take_up()
        for delivery in await worker.claim(100):
            await worker.deliver(delivery)
        return await self.ledger()

    async def ledger(self) -> list[Delivery]:
        """Return all deliveries, oldest first."""
        return (await self.module.service.deliveries(user_id=None, state=None, before=None, limit=100_000))[::-1]

    async def reported(self, sms: Sms, status: str, *, code: str = "") -> None:
        """Let the provider report on a message, past the signature."""
        form = {"MessageSid": sms.sid or "", "MessageStatus": status, "To": sms.to, "ErrorCode": code}
        told = report(parse_qs(urlsplit(sms.callback).query), form)
        assert told is not None
        await self.module.service.report(told)

    async def alert(self, user_id: str, thread_id: UUID, transport: str = "sms") -> tuple[int, int | None, int]:
        """Return (alerted to, open to, count) of somebody's alert."""
        async with self.database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT alerted_to, to_seq, message_count FROM notification_alerts"
                " WHERE user_id = $1 AND thread_id = $2 AND transport = $3",
                user_id,
                thread_id,
                transport,
            )
        assert row is not None
        return row["alerted_to"], row["to_seq"], row["message_count"]


def sms_of(settings: Settings, console: TextIO) -> Mapping[str, Transport]:
    """Return SMS as set up, and nothing beside it: that is what most tests are about."""
    sms = _sms(settings, console)
    return {} if sms is None else {sms.name: sms}


@pytest.fixture(scope="module")
def shared_dsn(postgres: Databases) -> Iterator[str]:
    """The DSN of a database for all tests of a module."""
    with postgres.fresh() as fresh:
        yield fresh


@pytest.fixture
async def dsn(shared_dsn: str) -> str:
    """The same, emptied: quicker than a fresh one, and as good for tables that nobody else writes."""
    await execute(shared_dsn, ";".join(f"DELETE FROM {table}" for table in TABLES))
    return shared_dsn


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioServer]:
    async with twilio_server() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def house(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> AsyncIterator[House]:
    async with a_house(database, settings, world, clock, twilio, public_url=PUBLIC_URL) as house:
        yield house


@asynccontextmanager
async def a_house(
    database: Database, settings: Settings, world: Any, clock: Callable[[], datetime], twilio: TwilioServer, **more: Any
) -> AsyncIterator[House]:
    """A house whose SMS go to that server."""
    house = House(database, msgspec.structs.replace(settings, **(twilio.settings() | more)), world, clock)
    try:
        yield house
    finally:
        await house.module.stop()


class AnybodysWord:
    """Takes `user/role` for a token: who people are is another module's business."""

    async def authenticate(self, credential: str) -> Principal:
        """Believe it."""
        user_id, _, role = credential.partition("/")
        return msgspec.convert({"kind": "user", "id": user_id, "role": role}, Principal)


@pytest.fixture
async def at(house: House, twilio: TwilioServer) -> AsyncIterator[str]:
    """The address of a server with the module's routes, which the public URL leads to."""
    application = Litestar(
        house.module.routes,
        guards=[access.guard],
        dependencies={"caller": Provide(access.provide_caller, sync_to_thread=False)},
        exception_handlers={Exception: problems.render},
        request_class=StrictRequest,
        state=State({access.AUTHENTICATOR: AnybodysWord()}),
        openapi_config=None,
    )
    config = uvicorn.Config(application, log_level="error", lifespan="off", ws="none")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.startup([listener])
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        twilio.leads_to[PUBLIC_URL] = address
        yield address
        await server.shutdown([listener])


@pytest.fixture
async def http(at: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=at, trust_env=False, verify=PLAIN) as client:
        yield client
