"""Notifications: people who aren't looking hear what waits for them, by push, SMS or e-mail, once.

The module listens to messaging, contacts and identity, decides when alerts fall due, and keeps a ledger of all it sent
or didn't. `start` needs a running loop; several instances may run on one database.
"""

import asyncio
import sys
from collections.abc import Callable, Collection, Mapping
from typing import TextIO
from uuid import UUID

import structlog
from litestar import Router
from litestar.di import Provide

from bus import Bus
from kernel.clock import Clock, now
from kernel.database import Database
from kernel.settings import Settings, SettingsError
from kernel.signals import Signals
from kernel.smtp_url import smtp_server
from kernel.vapid import signing_key
from kernel.worker import Worker
from modules.contacts.events import InviteAccepted, InviteCreated, InviteReminded
from modules.identity.events import UserDeactivated
from modules.messaging.events import MessageCreated
from modules.notifications.admission import Admission
from modules.notifications.alert_worker import AlertWorker
from modules.notifications.breaker import Breaker
from modules.notifications.database_clock import DatabaseClock
from modules.notifications.delivery_worker import DeliveryWorker
from modules.notifications.domain.costs import Caps
from modules.notifications.domain.ladder import LADDER
from modules.notifications.domain.preferences import defaults
from modules.notifications.explaining import Explaining
from modules.notifications.ledger import Ledger
from modules.notifications.matters import Matters
from modules.notifications.personal.part import PersonalSockets
from modules.notifications.ports import Category, Conversations, Invitations, Presence, Recipients
from modules.notifications.push import routes as push_routes
from modules.notifications.push.wiring import Push
from modules.notifications.retention import Retention
from modules.notifications.routes import HANDLERS
from modules.notifications.service import Notifications
from modules.notifications.snapshots import Policy, Snapshots
from modules.notifications.store import circuits
from modules.notifications.store.alerts import Delays
from modules.notifications.transports import Transport
from modules.notifications.transports.console import ConsoleSms
from modules.notifications.transports.email.smtp import SmtpEmail, UnsubscribeLink, greeting
from modules.notifications.transports.twilio import TwilioSms
from modules.notifications.transports.twilio_webhooks import TwilioWebhooks
from modules.notifications.unsubscribe import routes as unsubscribe
from modules.notifications.unsubscribe.unsubscribing import Links, Unsubscribing
from modules.notifications.webhooks.contract import POSTS
from modules.notifications.webhooks.part import WebhooksPart
from modules.notifications.wording.texts import Texts, texts_of

__all__ = ["NotificationsModule", "PersonalSockets", "transports_of"]

log = structlog.get_logger(__name__)

CONSUMER = "notifications"
GATHER_S = 0.25
"""Alerts wait for seconds anyway: gathering makes one upsert of many messages."""

LONGEST_RECHECK_S = 60.0
"""Whether somebody who is at a device has read it, or has gone, is asked again after at most this."""


class NotificationsModule:
    """The module's public face."""

    def __init__(  # noqa: PLR0913 - the ports that it needs and the two parts that tests exchange
        self,
        *,
        settings: Settings,
        database: Database,
        bus: Bus,
        conversations: Conversations,
        invitations: Invitations,
        presence: Presence,
        recipients: Recipients,
        transports: Mapping[str, Transport] | None = None,
        console: TextIO = sys.stdout,
        clock: Clock | None = None,
    ) -> None:
        """Wire the module. `transports` and `clock` stand in for what the settings and the kernel would give."""
        self._database = database
        self._clock = DatabaseClock(database)
        self._now = clock = clock or self._clock
        self._default_zone = settings.default_time_zone
        self._push = push = Push(settings, database, clock)
        texts = texts_of(settings)
        links = Links(database=database, public_url=settings.public_url)
        email = email_of(settings, texts, links.link, clock)
        self._transports = transports_of(settings, console, push, email) if transports is None else transports
        breaker, admission = Breaker(clock), admission_of(settings, clock)
        ledger = Ledger(bus, breaker, clock)
        policy = policy_of(settings, self._transports.keys())
        delays = Delays(policy.delays_s)
        snapshots = Snapshots(
            database=database,
            matters=Matters(conversations, invitations),
            presence=presence,
            recipients=recipients,
            subscriptions=push.registry,
            admission=admission,
            policy=policy,
            clock=clock,
        )
        self.explaining = Explaining(database, snapshots, clock)
        self.delivery_worker = DeliveryWorker(
            database=database,
            ledger=ledger,
            snapshots=snapshots,
            subscriptions=push.registry,
            transports=self._transports,
            admission=admission,
            breaker=breaker,
            texts=texts,
            link=_links(settings.public_url),
            clock=clock,
        )
        self.alert_worker = AlertWorker(
            database=database,
            ledger=ledger,
            snapshots=snapshots,
            delays=delays,
            clock=clock,
            on_delivery=self.delivery_worker.wake,
        )
        self.retention = Retention(database=database, clock=clock, days=settings.deliveries_kept_days)
        self.service = Notifications(
            database=database,
            ledger=ledger,
            defaults=policy.defaults,
            delays=delays,
            subscriptions=push.registry,
            texts=texts,
            clock=clock,
            on_alert=self.alert_worker.wake,
            on_delivery=self.delivery_worker.wake,
        )
        self._webhooks = WebhooksPart(settings=settings, database=database, clock=clock)
        self.unsubscribing = Unsubscribing(
            database=database,
            links=links,
            recipients=recipients,
            defaults=policy.defaults,
            reconsider=self.service.reconsider,
        )
        webhooks = TwilioWebhooks(
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token,
            public_url=settings.public_url,
        )
        self.routes = [
            Router(
                path="/",
                route_handlers=[*HANDLERS, *push_routes.HANDLERS, *unsubscribe.HANDLERS],
                dependencies={
                    "notifications": Provide(lambda: self.service, sync_to_thread=False),
                    "push": Provide(lambda: push.registry, sync_to_thread=False),
                    "twilio_webhooks": Provide(lambda: webhooks, sync_to_thread=False),
                    "unsubscribing": Provide(lambda: self.unsubscribing, sync_to_thread=False),
                    "texts": Provide(lambda: texts, sync_to_thread=False),
                },
            ),
            self._webhooks.router,
        ]
        self.posts = [POSTS]
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(self, bus: Bus) -> None:
        """Listen, durably, to what concerns alerts."""
        bus.consume(CONSUMER, MessageCreated, self.service.heard, linger_s=GATHER_S)
        for news in (InviteCreated, InviteReminded, InviteAccepted):
            bus.consume(CONSUMER, news, self.service.invites_heard, linger_s=GATHER_S)
        bus.consume(CONSUMER, UserDeactivated, self.service.deactivated)
        self._webhooks.subscribe(bus)

    def listen(self, signals: Signals) -> None:
        """Hear of what other instances change."""
        self._webhooks.listen(signals)

    async def start(self) -> None:
        """Begin to decide and to send. What was held back for a fault of ours is tried anew: it may be mended.

        Raises:
            UnavailableError: PostgreSQL is away.
        """
        self._say_what_is_off()
        await self._clock.compare()
        async with self._database.transaction() as tx:
            await circuits.resume(tx.connection, self._transports.keys(), self._now())
        await self._webhooks.start()
        self._tasks = [asyncio.create_task(worker.run(), name=type(worker).__name__) for worker in self._workers()]

    async def stop(self) -> None:
        """Begin nothing new, let calls in flight end for up to five seconds, then cut them off."""
        for worker in self._workers():
            worker.stop()
        await asyncio.gather(*self._tasks)
        await asyncio.gather(self.delivery_worker.finish(), self._webhooks.stop())
        for transport in self._transports.values():
            await transport.close()

    def _say_what_is_off(self) -> None:
        if not self._push.on:
            log.warning("push_off", hint="`parley keys vapid` makes what PARLEY_VAPID_PRIVATE_KEY needs to push")
        if "sms" not in self._transports:
            log.warning("sms_off", hint="set TWILIO_ACCOUNT_SID and its companions to send SMS")
        if "email" not in self._transports:
            log.info("email_off", hint="set PARLEY_SMTP_URL to send e-mail")
        if self._default_zone is None:
            hint = "set PARLEY_DEFAULT_TIME_ZONE, or who has neither time zone nor telephone number hears of nothing"
            log.warning("no_default_time_zone", hint=hint)

    def _workers(self) -> tuple[Worker, ...]:
        return self._clock, self.alert_worker, self.delivery_worker, self.retention


def check(settings: Settings) -> None:
    """Look at what settings only name: catalogues and certificates.

    Raises:
        SettingsError: one of them can't be used.
    """
    if settings.vapid_private_key is not None:
        signing_key(settings)
    email_of(settings, texts_of(settings), no_link, now)


def transports_of(settings: Settings, console: TextIO, push: Push, email: Transport | None) -> Mapping[str, Transport]:
    """Return what can be sent by, in the order of the ladder."""
    made = [push.transport, _sms(settings, console), email]
    by_name = {transport.name: transport for transport in made if transport is not None}
    return {name: by_name[name] for name in LADDER if name in by_name}


def policy_of(settings: Settings, transports: Collection[str]) -> Policy:
    """Return what the settings say about when to send what."""
    delays_s = {"push": settings.push_delay_s, "sms": settings.sms_delay_s, "email": settings.email_delay_s}
    return Policy(
        delays_s={name: delays_s[name] for name in LADDER if name in transports},
        defaults=defaults(settings.default_quiet_hours),
        default_zone=settings.default_time_zone,
        recheck_s=min(LONGEST_RECHECK_S, settings.away_after_s),
        away_after_s=settings.away_after_s,
    )


def admission_of(settings: Settings, clock: Clock) -> Admission:
    """Return what the settings say about how fast SMS go, and what they may cost."""
    caps = Caps(recipient=settings.sms_max_per_recipient_per_day, deployment=settings.sms_max_per_day)
    return Admission(clock=clock, segments_per_s=settings.sms_per_s, caps=caps)


def _sms(settings: Settings, console: TextIO) -> Transport | None:
    """Twilio where it is set up, else in development the console, else nothing."""
    if settings.twilio_account_sid and settings.twilio_auth_token:
        return TwilioSms(
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token,
            public_url=settings.public_url,
            sender=settings.twilio_from,
            messaging_service=settings.twilio_messaging_service_sid,
            api_url=settings.twilio_api_url,
        )
    return None if settings.production else ConsoleSms(console)


def email_of(settings: Settings, texts: Texts, link: UnsubscribeLink, clock: Clock) -> Transport | None:
    """Return e-mail where it is set up, also in development: a catcher of mail takes one setting.

    Raises:
        SettingsError: the certificates can't be read.
    """
    if settings.smtp_url is None:
        return None
    server = smtp_server(settings.smtp_url)
    try:
        return SmtpEmail(
            server, texts=texts, unsubscribe_link=link, known_as=greeting(settings.public_url), clock=clock
        )
    except OSError as error:
        raise SettingsError([f"PARLEY_SMTP_URL: ca={server.ca} can't be used ({error.strerror or error})"]) from None


async def no_link(_user_id: str, _address: str) -> str:
    """Stand for the links where nothing is sent."""
    return ""


def _links(public_url: str) -> Callable[[Category, UUID], str]:
    base = public_url.rstrip("/")
    places: Mapping[Category, str] = {"messages": "channels", "invites": "invites"}
    return lambda category, thread_id: f"{base}/{places[category]}/{thread_id}"
