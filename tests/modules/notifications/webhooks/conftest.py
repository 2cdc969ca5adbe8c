"""The webhooks on a real database, with a real endpoint, driven step by step, running, or in a server."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bus import Bus, Event
from kernel.database import Database
from kernel.egress.client import Egress
from kernel.egress.policy import Policy
from kernel.settings import Settings
from kernel.signals import Signals
from modules.messaging.events import MessageCreated
from modules.notifications.webhooks.part import CONSUMER, WebhooksPart
from modules.notifications.webhooks.store.log import Logged
from modules.notifications.webhooks.webhook import Webhook
from tests.modules.notifications.conftest import Clock
from tests.modules.notifications.webhooks.over_http import posting_server
from tests.support.databases import Databases, execute
from tests.support.servers import Host
from tests.support.webhook_receiver import WebhookReceiver, webhook_receiver

CHANNEL = uuid4()
TABLES = ("notification_webhook_deliveries", "notification_webhook_events", "notification_webhooks", "bus_outbox")


@pytest.fixture
async def dsn(shared_dsn: str) -> str:
    """The DSN of a database that all tests of a module share, emptied."""
    await execute(shared_dsn, ";".join(f"DELETE FROM {table}" for table in TABLES))
    return shared_dsn


def message(seq: int, **more: Any) -> MessageCreated:
    """Return the event of a message."""
    said: dict[str, Any] = {
        "sender_id": "ana",
        "sender_name": "Ana",
        "recipient_ids": ["ben"],
        "message_preview": f"no. {seq}",
    }
    return MessageCreated(channel_id=CHANNEL, message_id=uuid4(), seq=seq, **(said | more))


class Post:
    """The part with its surroundings, and the few questions that tests ask."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        receiver: WebhookReceiver,
        clock: Callable[[], datetime],
        egress: Egress | None = None,
    ) -> None:
        self.database = database
        self.receiver = receiver
        self.bus = Bus()
        self.part = WebhooksPart(
            settings=settings, database=database, clock=clock, egress=egress or trusting(receiver.url)
        )
        self.part.subscribe(self.bus)
        self.service = self.part.service
        self.worker = self.part.worker

    async def subscribe(self, *events: str, path: str = "/hook", url: str | None = None) -> Webhook:
        """Make a webhook, which the receiver knows."""
        wanted = list(events) or ["chat.message.created"]
        async with self.database.transaction() as tx:
            made = await self.service.create(tx, url=url or self.receiver.url + path, events=wanted, description=None)
        webhook = await self.service.get(made)
        self.receiver.secrets.add(webhook.secret)
        return webhook

    async def publish(self, *events: Event) -> None:
        """Let others publish, and the consumer hear of it."""
        async with self.database.transaction() as tx:
            await self.bus.publish(tx, *events)
        await self.hear()

    async def hear(self) -> None:
        """Let the consumer hear of all that waits."""
        while await self.bus._consumers[CONSUMER].run_batch(self.database):
            pass

    async def round(self) -> None:
        """Post what is due, and write what came of it."""
        await self.worker.round()
        if self.worker._in_hand:
            await self.worker.finish()
        await self.worker.write()

    async def log(self, webhook: Webhook) -> list[Logged]:
        """Return its deliveries, oldest first."""
        return (await self.service.deliveries(webhook.id, state=None, event_type=None, before=None, limit=10_000))[::-1]

    async def states(self, webhook: Webhook) -> list[str]:
        """Return the states of its deliveries, oldest first."""
        return [one.state for one in await self.log(webhook)]

    async def now(self, webhook: Webhook) -> Webhook:
        """Return it as it is by now."""
        return await self.service.get(webhook.id)

    async def rows(self, table: str) -> int:
        """Return how many rows a table of the webhooks has."""
        return int(await self.database.pool.fetchval(f"SELECT count(*) FROM notification_webhook{table}"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Signals]:
        """Run it as the server does."""
        signals = Signals(self.database)
        self.part.listen(signals)
        await self.part.start()
        await signals.start()
        self.bus.start(self.database)
        try:
            yield signals
        finally:
            await self.bus.stop()
            await signals.stop()
            await self.part.stop()


def trusting(*origins: str) -> Egress:
    """Return a client that may call these."""
    return Egress(Policy(origins, anywhere=True), timeout_s=2, connect_timeout_s=1, max_connections=400)


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as running:
        yield running
        assert running.forged() == []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def post(database: Database, settings: Settings, receiver: WebhookReceiver, clock: Clock) -> AsyncIterator[Post]:
    """Not running, under a clock that the test turns."""
    post = Post(database, settings, receiver, clock)
    try:
        yield post
    finally:
        await post.part.stop()


@pytest.fixture(scope="module")
async def endpoint() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as running:
        yield running


@pytest.fixture(scope="module")
def host(postgres: Databases, tmp_path_factory: pytest.TempPathFactory, endpoint: WebhookReceiver) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("webhooks")
    with postgres.fresh() as dsn, posting_server(dsn, folder, endpoint) as host:
        yield host


@pytest.fixture
async def http(host: Host) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": host.http.headers["Authorization"]}
    async with httpx.AsyncClient(base_url=host.server.url, headers=headers, trust_env=False, timeout=30) as client:
        yield client
        for webhook in (await client.get("/api/webhooks", params={"limit": 100})).json()["items"]:
            await client.delete(f"/api/webhooks/{webhook['id']}")
