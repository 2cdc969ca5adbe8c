"""What the host can do with its webhooks, and what becomes of an event. Posting is the worker's business."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from bus import Event, event_name
from kernel.clock import Clock
from kernel.database import Database, Transaction
from kernel.egress.client import Egress
from kernel.errors import NotFoundError
from kernel.ids import new_id
from kernel.ratelimit import RateLimit
from modules.notifications.webhooks import catalogue, signing
from modules.notifications.webhooks.delivery import LIFE
from modules.notifications.webhooks.errors import (
    DeliveryUnderWayError,
    TooManyWebhooksError,
    WebhookDisabledError,
)
from modules.notifications.webhooks.sender import Sender, Sent
from modules.notifications.webhooks.store import log as log_rows
from modules.notifications.webhooks.store import queue, webhooks
from modules.notifications.webhooks.store.log import Logged
from modules.notifications.webhooks.subscriptions import Subscriptions
from modules.notifications.webhooks.webhook import MAX_WEBHOOKS, Webhook, living

REPLAYED_AT_ONCE = 1000
URL_FIELD = "/url"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be another; what is left out stays."""

    url: str | UnsetType = UNSET
    events: list[str] | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class Webhooks:
    """The use cases. URLs are checked before they are kept; the worker's client checks them again."""

    def __init__(
        self,
        *,
        database: Database,
        egress: Egress,
        sender: Sender,
        subscriptions: Subscriptions,
        clock: Clock,
        on_delivery: Callable[[], None],
    ) -> None:
        self._database = database
        self._egress = egress
        self._sender = sender
        self._subscriptions = subscriptions
        self._clock = clock
        self._on_delivery = on_delivery
        self._tests = RateLimit("tests of a webhook", per_s=1, burst=5)

    async def heard(self, tx: Transaction, events: Sequence[Event]) -> None:
        """Keep events for every webhook that wants them now."""
        found = await webhooks.wanting(tx.connection)
        wanted = [
            queue.Wanted(new_id(), webhook_id, event.event_id, event_name(type(event)))
            for event in events
            for webhook_id, patterns in found
            if any(catalogue.matches(pattern, event_name(type(event))) for pattern in patterns)
        ]
        if not wanted:
            return
        ids = {one.event_id for one in wanted}
        kept = [_kept(event) for event in events if event.event_id in ids]
        now = self._clock()
        await queue.enqueue(tx.connection, kept, wanted, now=now, expires_at=now + LIFE)
        tx.after_commit(self._on_delivery)

    async def check(self, url: str) -> None:
        """Check an address that is to be kept.

        Raises:
            MalformedError: it may not be called.
        """
        await self._egress.check(url, URL_FIELD)

    async def create(self, tx: Transaction, *, url: str, events: list[str], description: str | None) -> UUID:
        """Make one, with a secret of its own; returns its id. The address has been checked.

        Raises:
            TooManyWebhooksError: there are `MAX_WEBHOOKS`.
        """
        if await webhooks.count_alone(tx.connection) >= MAX_WEBHOOKS:
            raise TooManyWebhooksError(f"There may be at most {MAX_WEBHOOKS} webhooks")
        now = self._clock()
        webhook = Webhook(
            id=new_id(),
            url=url,
            events=events,
            description=description,
            secret=signing.new_secret(),
            previous_secret=None,
            previous_until=None,
            disabled_at=None,
            disabled_reason=None,
            failures=0,
            failing_since=None,
            resting_until=None,
            created_at=now,
            updated_at=now,
        )
        await webhooks.add(tx.connection, webhook)
        tx.after_commit(self._subscriptions.changed)
        return webhook.id

    async def get(self, webhook_id: UUID) -> Webhook:
        """Return one.

        Raises:
            NotFoundError: there is none of this id.
        """
        async with self._database.connection() as connection:
            return _there(await webhooks.get(connection, webhook_id))

    async def listing(self, *, after: UUID | None, limit: int) -> list[Webhook]:
        """Return them in the order in which they were made."""
        async with self._database.connection() as connection:
            return await webhooks.listing(connection, after=after, limit=limit)

    async def change(self, webhook_id: UUID, change: Change) -> Webhook:
        """Change one. Another address, or being enabled, begins with a clean slate: past failures don't count.

        Raises:
            NotFoundError: there is none of this id.
            MalformedError: the address may not be called.
        """
        await self.get(webhook_id)
        if change.url is not UNSET:
            await self.check(change.url)
        async with self._database.transaction() as tx:
            webhook = _changed(_there(await webhooks.lock(tx.connection, webhook_id)), change, self._clock())
            await self._save(tx, webhook)
            tx.after_commit(self._on_delivery)
        return webhook

    async def rotate(self, webhook_id: UUID, grace_s: int) -> Webhook:
        """Give one a new secret. The one before it signs, too, for `grace_s`; the one before that no more.

        Raises:
            NotFoundError: there is none of this id.
        """
        now = self._clock()
        async with self._database.transaction() as tx:
            current = _there(await webhooks.lock(tx.connection, webhook_id))
            webhook = msgspec.structs.replace(
                current,
                secret=signing.new_secret(),
                previous_secret=current.secret if grace_s else None,
                previous_until=now + timedelta(seconds=grace_s) if grace_s else None,
                updated_at=now,
            )
            await self._save(tx, webhook)
        return webhook

    async def delete(self, webhook_id: UUID) -> None:
        """End one, and all that waits for it.

        Raises:
            NotFoundError: there is none of this id.
        """
        async with self._database.transaction() as tx:
            if not await webhooks.delete(tx.connection, webhook_id, self._clock()):
                raise NotFoundError
            tx.after_commit(self._subscriptions.changed)

    async def test(self, webhook_id: UUID) -> Sent:
        """Post a test now, also to one that is disabled or put aside, and return what came of it.

        Raises:
            NotFoundError: there is none of this id.
            TooManyRequestsError: too many tests.
        """
        webhook = await self.get(webhook_id)
        self._tests.take(str(webhook_id))
        event = catalogue.WebhookTest(webhook_id=webhook_id)
        secrets = living(webhook.secret, webhook.previous_secret, webhook.previous_until, self._clock())
        identifier = signing.message_id(event.event_id, webhook_id)
        return await self._sender.send(webhook.url, secrets, identifier, catalogue.payload(event))

    async def deliveries(
        self, webhook_id: UUID, *, state: str | None, event_type: str | None, before: UUID | None, limit: int
    ) -> list[Logged]:
        """Return the log of one, newest first.

        Raises:
            NotFoundError: there is none of this id.
        """
        async with self._database.connection() as connection:
            _there(await webhooks.get(connection, webhook_id))
            return await log_rows.listing(
                connection, webhook_id, state=state, event_type=event_type, before=before, limit=limit
            )

    async def replay(self, webhook_id: UUID, delivery_id: UUID) -> Logged:
        """Send a delivery again that was taken or given up.

        Raises:
            NotFoundError: there is none of these ids.
            DeliveryUnderWayError: it is still tried.
            WebhookDisabledError: nothing is sent to this webhook.
        """
        now = self._clock()
        async with self._database.transaction() as tx:
            _enabled(_there(await webhooks.get(tx.connection, webhook_id)))
            current = await log_rows.lock(tx.connection, webhook_id, delivery_id)
            if current is None:
                raise NotFoundError
            if current.state not in {"delivered", "dead"}:
                raise DeliveryUnderWayError(f"It is {current.state}; only deliveries that have ended are replayed")
            replayed = await log_rows.replay(tx.connection, delivery_id, now=now, expires_at=now + LIFE)
            tx.after_commit(self._on_delivery)
        return replayed

    async def replay_dead(self, webhook_id: UUID, since: datetime) -> int:
        """Send deliveries again that were given up and were made since a moment: at most `REPLAYED_AT_ONCE`.

        Raises:
            NotFoundError: there is none of this id.
            WebhookDisabledError: nothing is sent to this webhook.
        """
        now = self._clock()
        async with self._database.transaction() as tx:
            _enabled(_there(await webhooks.get(tx.connection, webhook_id)))
            count = await log_rows.replay_dead(
                tx.connection, webhook_id, since=since, now=now, expires_at=now + LIFE, limit=REPLAYED_AT_ONCE
            )
            tx.after_commit(self._on_delivery)
        return count

    async def _save(self, tx: Transaction, webhook: Webhook) -> None:
        await webhooks.save(tx.connection, webhook)
        tx.after_commit(self._subscriptions.changed)


def _there(webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise NotFoundError
    return webhook


def _enabled(webhook: Webhook) -> None:
    if webhook.disabled_at is not None:
        raise WebhookDisabledError("Nothing is sent to it; enable it first")


def _kept(event: Event) -> queue.Heard:
    return queue.Heard(event.event_id, event_name(type(event)), event.occurred_at, catalogue.payload(event))


def _changed(webhook: Webhook, change: Change, now: datetime) -> Webhook:
    given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
    enabled = given.pop("enabled", None)
    if enabled or given.get("url", webhook.url) != webhook.url:
        given |= {"failures": 0, "failing_since": None, "resting_until": None}
    if enabled:
        given |= {"disabled_at": None, "disabled_reason": None}
    elif enabled is False and webhook.disabled_at is None:
        given |= {"disabled_at": now, "disabled_reason": "requested"}
    return msgspec.structs.replace(webhook, **given, updated_at=now)
