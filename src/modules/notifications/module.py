"""Notifications: people who aren't looking hear that messages wait, by SMS, once.

The module listens to messaging and identity, decides when alerts fall due, and keeps a ledger of all it sent or
didn't. `start` needs a running loop; several instances may run on one database.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TextIO
from uuid import UUID

import structlog
from litestar import Router
from litestar.di import Provide

from bus import Bus
from kernel.clock import now
from kernel.database import Database
from kernel.settings import Settings
from kernel.signals import Signals
from modules.identity.events import UserDeactivated
from modules.messaging.events import MessageCreated
from modules.notifications.alert_worker import AlertWorker
from modules.notifications.delivery_worker import DeliveryWorker
from modules.notifications.domain.preferences import defaults
from modules.notifications.ledger import Ledger
from modules.notifications.ports import Conversations, Presence, Recipients
from modules.notifications.routes import HANDLERS
from modules.notifications.service import Notifications
from modules.notifications.snapshots import Snapshots
from modules.notifications.store import pauses
from modules.notifications.transports import Transport
from modules.notifications.transports.console import ConsoleSms
from modules.notifications.transports.twilio import TwilioSms
from modules.notifications.transports.twilio_webhooks import TwilioWebhooks
from modules.notifications.webhooks.contract import POSTS
from modules.notifications.webhooks.part import WebhooksPart

log = structlog.get_logger(__name__)

CONSUMER = "notifications"
GATHER_S = 0.25
"""Alerts wait for seconds anyway: gathering makes one upsert of many messages."""


class NotificationsModule:
    """The module's public face."""

    def __init__(  # noqa: PLR0913 - the ports that it needs and the two parts that tests exchange
        self,
        *,
        settings: Settings,
        database: Database,
        bus: Bus,
        conversations: Conversations,
        presence: Presence,
        recipients: Recipients,
        transports: Mapping[str, Transport] | None = None,
        console: TextIO = sys.stdout,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Wire the module. `transports` and `clock` stand in for what the settings and the kernel would give."""
        self._database = database
        self._transports = transports_of(settings, console) if transports is None else transports
        ledger = Ledger(bus, clock)
        chosen_by_default = defaults(settings.default_quiet_hours)
        snapshots = Snapshots(
            database=database,
            conversations=conversations,
            presence=presence,
            recipients=recipients,
            defaults=chosen_by_default,
            transports=self._transports.keys(),
            clock=clock,
        )
        self.delivery_worker = DeliveryWorker(
            database=database,
            ledger=ledger,
            snapshots=snapshots,
            transports=self._transports,
            link=_links(settings.public_url),
            clock=clock,
        )
        self.alert_worker = AlertWorker(
            database=database,
            ledger=ledger,
            snapshots=snapshots,
            delay_s=settings.sms_delay_s,
            clock=clock,
            on_delivery=self.delivery_worker.wake,
        )
        self.service = Notifications(
            database=database,
            ledger=ledger,
            defaults=chosen_by_default,
            delay_s=settings.sms_delay_s,
            clock=clock,
            on_alert=self.alert_worker.wake,
            on_delivery=self.delivery_worker.wake,
        )
        self._webhooks = WebhooksPart(settings=settings, database=database, clock=clock)
        webhooks = TwilioWebhooks(auth_token=settings.twilio_auth_token, public_url=settings.public_url)
        self.routes = [
            Router(
                path="/",
                route_handlers=HANDLERS,
                dependencies={
                    "notifications": Provide(lambda: self.service, sync_to_thread=False),
                    "twilio_webhooks": Provide(lambda: webhooks, sync_to_thread=False),
                },
            ),
            self._webhooks.router,
        ]
        self.posts = [POSTS]
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(self, bus: Bus) -> None:
        """Listen, durably, to what concerns alerts."""
        bus.consume(CONSUMER, MessageCreated, self.service.heard, linger_s=GATHER_S)
        bus.consume(CONSUMER, UserDeactivated, self.service.deactivated)
        self._webhooks.subscribe(bus)

    def listen(self, signals: Signals) -> None:
        """Hear of what other instances change."""
        self._webhooks.listen(signals)

    async def start(self) -> None:
        """Begin to decide and to send. A transport that was held back is tried anew: the fault may be mended."""
        if not self._transports:
            log.warning("sms_off", hint="set TWILIO_ACCOUNT_SID and its companions to send SMS")
        async with self._database.transaction() as tx:
            await pauses.resume(tx.connection, self._transports.keys())
        await self._webhooks.start()
        self._tasks = [
            asyncio.create_task(self.alert_worker.run(), name="alert worker"),
            asyncio.create_task(self.delivery_worker.run(), name="delivery worker"),
        ]

    async def stop(self) -> None:
        """Begin nothing new, let calls in flight end for up to five seconds, then cut them off."""
        self.alert_worker.stop()
        self.delivery_worker.stop()
        await asyncio.gather(*self._tasks)
        await asyncio.gather(self.delivery_worker.finish(), self._webhooks.stop())
        for transport in self._transports.values():
            await transport.close()


def transports_of(settings: Settings, console: TextIO) -> Mapping[str, Transport]:
    """Return what can be sent by: Twilio where it is set up, else in development the console, else nothing."""
    if settings.twilio_account_sid and settings.twilio_auth_token:
        twilio = TwilioSms(
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token,
            public_url=settings.public_url,
            sender=settings.twilio_from,
            messaging_service=settings.twilio_messaging_service_sid,
            api_url=settings.twilio_api_url,
        )
        return {twilio.name: twilio}
    if settings.production:
        return {}
    return {ConsoleSms.name: ConsoleSms(console)}


def _links(public_url: str) -> Callable[[UUID], str]:
    base = public_url.rstrip("/")
    return lambda channel_id: f"{base}/channels/{channel_id}"
