"""Posts what waits for the host's webhooks.

Overview: in rounds, the worker writes what came of finished requests, takes up what dead workers left, and takes what
is due: for each webhook up to `ROOM` requests at a time. Requests run beside the rounds.

Concurrency: one worker a process; any number of processes share the work. Webhooks have room of their own, so that a
slow endpoint holds up none but itself. One that fails gets a single request at a time from all instances together, with
pauses that grow to five minutes, however many events wait for it.

Guarantees: each event is posted to each webhook that wanted it at least once, or tried for three days and then shown as
dead; a crash in between only posts it again, under the same `webhook-id`. No order is promised. A round has a fixed
number of statements.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from kernel.backoff import spread
from kernel.clock import Clock
from kernel.database import Database, Transaction
from kernel.errors import UnavailableError
from kernel.ids import new_id
from kernel.worker import POLL_S, Worker
from modules.notifications.metrics import WEBHOOK_ATTEMPTS, WEBHOOKS_DISABLED
from modules.notifications.webhooks.delivery import Claimed, Settled, settled
from modules.notifications.webhooks.sender import NOTHING, Sender, Sent
from modules.notifications.webhooks.signing import message_id
from modules.notifications.webhooks.store import log as log_rows
from modules.notifications.webhooks.store import queue

log = structlog.get_logger(__name__)

ROOM = 8
"""Requests at a time to one endpoint, from one process."""
LEASE = timedelta(seconds=40)
"""Longer than a request may take; how soon it is noticed that a process died."""
GATHER_S = 0.01
"""Requests that end within this are written together."""
PATIENCE = timedelta(days=5)
"""A webhook that only failed for so long is disabled."""
GRACE = timedelta(minutes=15)
"""So much after its last attempt was due a delivery that nobody came to is given up."""
KEPT = timedelta(days=30)
"""The log."""
TIDY_S = 60.0
TIDY_ROWS = 1000
STOP_S = 5.0

Done = tuple[Claimed, Sent, Settled]


def jitter() -> float:
    """Return a factor that keeps retries from coming all at once."""
    return spread(0.9, 1.1)


class WebhookWorker(Worker):
    """Serves the queue of webhooks."""

    def __init__(self, database: Database, sender: Sender, clock: Clock) -> None:
        super().__init__()
        self._database = database
        self._sender = sender
        self._clock = clock
        self._in_hand: dict[asyncio.Task[None], UUID] = {}
        self._done: list[Done] = []
        self._tidy_at = 0.0

    async def round(self) -> float:
        """Write, take up, take, and now and then tidy."""
        await asyncio.sleep(GATHER_S)
        await self.write()
        for claimed in await self.take():
            task = asyncio.create_task(self._post(claimed), name=f"webhook {claimed.id}")
            self._in_hand[task] = claimed.webhook_id
            task.add_done_callback(self._finished)
        return await self._tidy_now_and_then()

    async def finish(self) -> None:
        """Wait for the requests in hand, for at most `STOP_S`, and write what came of them.

        What is cut off, or can't be written, is posted again when its lease has run out.
        """
        if self._in_hand:
            _, unfinished = await asyncio.wait(self._in_hand, timeout=STOP_S)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        with suppress(UnavailableError):
            await self.write()

    async def take(self) -> list[Claimed]:
        """Take what is due, and what dead workers left."""
        now = self._clock()
        async with self._database.transaction() as tx:
            left = await queue.take_up(tx.connection, now, TIDY_ROWS)
            taken = await queue.claim(
                tx.connection,
                now=now,
                claim_id=new_id(),
                lease_until=now + LEASE,
                in_hand=Counter(self._in_hand.values()),
                room=ROOM,
            )
        if left:
            log.warning("webhook_deliveries_taken_up", count=left)
        return taken

    async def write(self) -> None:
        """Write what came of requests. It is kept until that has worked."""
        done = self._done[:]
        if not done:
            return
        async with self._database.transaction() as tx:
            now = self._clock()
            await queue.settle(tx.connection, [(claimed, sent.attempt, after) for claimed, sent, after in done], now)
            await self._note(tx, done, now)
        del self._done[: len(done)]

    async def _note(self, tx: Transaction, done: list[Done], now: datetime) -> None:
        """Note how the endpoints are. One that took anything works, whatever else it refused."""
        well = {claimed.webhook_id for claimed, sent, _ in done if sent.attempt.taken}
        ill = {claimed.webhook_id: _failing(claimed, sent) for claimed, sent, _ in done if not sent.attempt.taken}
        gone = {claimed.webhook_id for claimed, sent, _ in done if sent.attempt.gone}
        failing = [
            one._replace(is_gone=webhook_id in gone)
            for webhook_id, one in sorted(ill.items())
            if webhook_id not in well or webhook_id in gone
        ]
        await queue.lock(tx.connection, ill=[one.webhook_id for one in failing], well=sorted(well))
        if well:
            await queue.note_well(tx.connection, sorted(well))
        if failing:
            disabled = await queue.note_ill(
                tx.connection, failing, now=now, patient_since=now - PATIENCE, jitter=jitter()
            )
            tx.after_commit(lambda: _tell(disabled))

    async def _post(self, claimed: Claimed) -> None:
        identifier = message_id(claimed.event_id, claimed.webhook_id)
        sent = await self._sender.send(claimed.url, claimed.secrets, identifier, claimed.payload)
        after = settled(claimed, sent.attempt, self._clock(), jitter=jitter(), retry_after=sent.retry_after)
        WEBHOOK_ATTEMPTS.labels("delivered" if sent.attempt.taken else str(sent.attempt.fault)).inc()
        self._done.append((claimed, sent, after))

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._in_hand.pop(task, None)
        self.wake()

    async def _tidy_now_and_then(self) -> float:
        now = asyncio.get_running_loop().time()
        if now >= self._tidy_at:
            full = await self.tidy()
            self._tidy_at = now + (POLL_S if full else TIDY_S)
        return POLL_S

    async def tidy(self) -> bool:
        """Give up what is too old, clear away what is older; returns whether there may be more."""
        now = self._clock()
        async with self._database.transaction() as tx:
            given_up = await log_rows.give_up(tx.connection, now=now, expired=now - GRACE, limit=TIDY_ROWS)
            purged = await log_rows.purge(tx.connection, before=now - KEPT, limit=TIDY_ROWS)
            await log_rows.forget(tx.connection, deleted_before=now - GRACE)
        if given_up:
            log.warning("webhook_deliveries_given_up", count=given_up)
        return max(given_up, purged) >= TIDY_ROWS


def _failing(claimed: Claimed, sent: Sent) -> queue.Failing:
    asked_s = sent.retry_after.total_seconds() if sent.retry_after > NOTHING else 0.0
    return queue.Failing(claimed.webhook_id, asked_s, sent.attempt.gone, claimed.is_probe)


def _tell(disabled: Mapping[UUID, str]) -> None:
    for webhook_id, reason in disabled.items():
        log.error("webhook_disabled", webhook_id=str(webhook_id), reason=reason)
        WEBHOOKS_DISABLED.labels(reason).inc()
