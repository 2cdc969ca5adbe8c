"""The webhooks, wired: the part of the notifications module that it starts and stops."""

import asyncio

from litestar import Router
from litestar.di import Provide

from bus import Bus
from kernel.clock import Clock
from kernel.database import Database
from kernel.egress.client import Egress
from kernel.egress.policy import Policy
from kernel.http.idempotency import Idempotency
from kernel.settings import Settings
from kernel.signals import Signals
from modules.notifications.webhooks.catalogue import PUBLISHED
from modules.notifications.webhooks.routes import HANDLERS
from modules.notifications.webhooks.sender import TIMEOUT_S, Sender
from modules.notifications.webhooks.service import Webhooks
from modules.notifications.webhooks.subscriptions import Subscriptions
from modules.notifications.webhooks.webhook import MAX_WEBHOOKS
from modules.notifications.webhooks.worker import ROOM, WebhookWorker

CONSUMER = "webhooks"


class WebhooksPart:
    """What the module needs to know of the webhooks."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        clock: Clock,
        egress: Egress | None = None,
    ) -> None:
        """Wire them. `egress` stands in for the client that the settings would give."""
        self._egress = egress or egress_of(settings)
        self._subscriptions = Subscriptions(database)
        sender = Sender(self._egress, clock)
        self.worker = WebhookWorker(database, sender, clock)
        self.service = Webhooks(
            database=database,
            egress=self._egress,
            sender=sender,
            subscriptions=self._subscriptions,
            clock=clock,
            on_delivery=self.worker.wake,
        )
        given = {"webhooks": self.service, "idempotency": Idempotency(database)}
        self.router = Router(
            path="/",
            route_handlers=HANDLERS,
            dependencies={name: _given(value) for name, value in given.items()},
        )
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, bus: Bus) -> None:
        """Listen, durably, to whatever any webhook wants at the time."""
        for kind in PUBLISHED:
            bus.consume(CONSUMER, kind, self.service.heard, wanted=self._subscriptions.wants(kind))

    def listen(self, signals: Signals) -> None:
        """Hear of what other instances change about webhooks."""
        self._subscriptions.listen(signals)

    async def start(self) -> None:
        """Begin to post."""
        self._subscriptions.start()
        self._task = asyncio.create_task(self.worker.run(), name="webhook worker")

    async def stop(self) -> None:
        """Begin nothing new, let requests in flight end for up to five seconds, then cut them off."""
        self.worker.stop()
        if self._task is not None:
            await self._task
        await self.worker.finish()
        await self._subscriptions.stop()
        await self._egress.close()


def egress_of(settings: Settings) -> Egress:
    """Return the client for the host's endpoints: any public address, and the origins that the operator listed."""
    policy = Policy(settings.webhook_allowed_origins, anywhere=True)
    return Egress(policy, timeout_s=TIMEOUT_S, max_connections=MAX_WEBHOOKS * ROOM)


def _given(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)
