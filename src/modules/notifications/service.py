"""What notifications do when something is heard, asked or reported. Sending is the workers' business."""

from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from kernel.clock import Clock
from kernel.database import Database, Transaction
from kernel.errors import NotFoundError
from modules.contacts.events import InviteEvent
from modules.identity.events import UserDeactivated
from modules.messaging.events import MessageCreated
from modules.notifications.breaker import jitter
from modules.notifications.domain.alerts import Heard, OpenAlert, merge, of_invites
from modules.notifications.domain.delivery import Delivery, IllegalTransition, replayed, reported, tried_again
from modules.notifications.domain.keywords import Understood, understand
from modules.notifications.domain.outcomes import Report
from modules.notifications.domain.preferences import Preferences
from modules.notifications.domain.reasons import CHOSEN
from modules.notifications.errors import NotReplayableError
from modules.notifications.ledger import Ledger
from modules.notifications.push import store as push
from modules.notifications.store import alerts, people
from modules.notifications.store import deliveries as rows
from modules.notifications.subscriptions import PushSubscriptions
from modules.notifications.wording.texts import Texts

log = structlog.get_logger(__name__)


class Notifications:
    """The module's use cases."""

    def __init__(  # noqa: PLR0913 - the parts that it puts together
        self,
        *,
        database: Database,
        ledger: Ledger,
        defaults: Preferences,
        delays: alerts.Delays,
        subscriptions: PushSubscriptions,
        texts: Texts,
        clock: Clock,
        on_alert: Callable[[], None],
        on_delivery: Callable[[], None],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._defaults = defaults
        self._delays = delays
        self._subscriptions = subscriptions
        self._texts = texts
        self._clock = clock
        self._on_alert = on_alert
        self._on_delivery = on_delivery

    async def heard(self, tx: Transaction, messages: Sequence[MessageCreated]) -> None:
        """Start or stretch the alerts of everybody whom these messages concern."""
        await self._hear(tx, merge(messages))

    async def invites_heard(self, tx: Transaction, events: Sequence[InviteEvent]) -> None:
        """Start or stretch the alerts of those who are invited or reminded, or whose invitations were accepted."""
        await self._hear(tx, of_invites(events))

    async def deactivated(self, tx: Transaction, events: Sequence[UserDeactivated]) -> None:
        """Forget people's choices and browsers, and conclude their alerts: the decision will find them deactivated."""
        user_ids = [event.user_id for event in events]
        await people.forget(tx.connection, user_ids)
        await push.forget(tx.connection, user_ids)
        await alerts.bring_forward(tx.connection, user_ids, self._clock())
        tx.after_commit(self._on_alert)

    async def preferences(self, user_id: str) -> Preferences:
        """Return a person's preferences, the defaults where they never chose."""
        async with self._database.connection() as connection:
            chosen = await people.preferences_of(connection, [user_id])
        return chosen.get(user_id, self._defaults)

    async def choose(self, user_id: str, chosen: Preferences) -> None:
        """Replace a person's preferences. They count at once, also for what is open or was put off."""
        async with self._database.transaction() as tx:
            await people.save_preferences(tx.connection, user_id, chosen)
            await self.reconsider(tx, user_id)

    async def reconsider(self, tx: Transaction, user_id: str) -> None:
        """Decide anew, once the caller commits, on what is open for a person or was put off by their choice."""
        now = self._clock()
        await alerts.bring_forward(tx.connection, [user_id], now)
        await rows.bring_forward(tx.connection, [user_id], CHOSEN, now)
        tx.after_commit(self._on_alert)
        tx.after_commit(self._on_delivery)

    async def open_alerts(self, user_id: str) -> list[OpenAlert]:
        """Return of what a person is yet to be alerted, when it is decided (again) whether, and what held it up."""
        async with self._database.connection() as connection:
            return await alerts.open_of(connection, user_id)

    async def deliveries(
        self, *, user_id: str | None, state: str | None, before: UUID | None, limit: int
    ) -> list[Delivery]:
        """Return the ledger, newest first."""
        async with self._database.connection() as connection:
            return await rows.listing(connection, user_id=user_id, state=state, before=before, limit=limit)

    async def replay(self, delivery_id: UUID) -> Delivery:
        """Give a dead delivery another life; all that could have kept it from being sent is asked again.

        Raises:
            NotFoundError: there is none of this id.
            NotReplayableError: it isn't dead.
        """
        async with self._database.transaction() as tx:
            current = await rows.lock(tx.connection, delivery_id)
            if current is None:
                raise NotFoundError
            try:
                delivery = replayed(current, self._clock())
            except IllegalTransition:
                raise NotReplayableError(f"It is {current.state}; only dead deliveries are replayed") from None
            await self._ledger.save(tx, [delivery])
            tx.after_commit(self._on_delivery)
        return delivery

    async def report(self, report: Report) -> None:
        """Apply what the provider reports. A repeated, late or foreign report changes nothing."""
        async with self._database.transaction() as tx:
            current = await rows.lock(tx.connection, report.delivery_id)
            if current is None:
                return
            if report.attempt > current.lost_attempt and current.provider_id not in {None, report.provider_id}:
                log.error("delivery_with_two_messages", delivery_id=str(current.id))
            delivery = reported(current, report)
            if delivery is None:
                return
            await self._ledger.save(tx, [delivery])
            if report.fault is not None:
                await self._ledger.learn(tx, delivery, report.fault, report.address)
            again = tried_again(delivery, report, self._clock(), jitter())
            if again is not None:
                await self._ledger.save(tx, [again])

    async def answered(self, *, provider_id: str, phone: str, body: str, handled: str) -> str | None:
        """Act upon an incoming SMS, once. `handled`: STOP, START or HELP where the provider answered itself.

        Returns:
            What to reply, in the default language: a number may be anybody's. None for nothing, also where the
            provider replies to its own keywords.
        """
        understood = understand(handled) or understand(body)
        if understood is None:
            return None
        async with self._database.transaction() as tx:
            if not await people.remember_answer(tx.connection, provider_id):
                return None
            key = await _act_upon(tx, understood, phone)
        log.info("answer_understood", wish=understood.wish)
        return None if handled or key is None else self._texts.say(understood.language, key)

    async def _hear(self, tx: Transaction, heard: Sequence[Heard]) -> None:
        if heard:
            recipients = {one.user_id for one in heard} if self._delays.pushes else set()
            browsers = await self._subscriptions.of(tx.connection, recipients) if recipients else {}
            await alerts.hear(tx.connection, heard, self._delays, browsers.keys())
            tx.after_commit(self._on_alert)


async def _act_upon(tx: Transaction, understood: Understood, phone: str) -> str | None:
    """Do as wished; return the key of the reply."""
    if understood.wish == "help":
        return "sms.help_reply"
    if understood.wish == "start":
        await people.opt_in(tx.connection, ("sms", phone), "start")
        return None
    new = await people.opt_out(tx.connection, ("sms", phone), "stop")
    return "sms.stop_reply" if new and not understood.keyword else None
