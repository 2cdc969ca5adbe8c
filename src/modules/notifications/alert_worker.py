"""Decides on alerts that fall due and writes what comes of it to the ledger.

Concurrency: one task a process; any number of processes share the work, because taking an alert hides it from others.

Guarantees: an alert's end and its delivery row commit together, so that every alert ends in exactly one row; a worker
that dies before leaves the alert to be taken again. No connection is held while other modules are asked.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from kernel.clock import Clock
from kernel.database import Database
from kernel.ids import new_id
from kernel.worker import POLL_S, Worker
from modules.notifications.domain.alerts import DueAlert, delivery_of
from modules.notifications.domain.decision import Decision, Postpone, Snapshot, decide
from modules.notifications.domain.delivery import Delivery
from modules.notifications.ledger import Ledger
from modules.notifications.snapshots import Snapshots
from modules.notifications.store import alerts

log = structlog.get_logger(__name__)

BATCH = 200
HIDDEN = timedelta(seconds=15)
"""How long a taken alert is hidden from others: longer than deciding on a batch ever takes."""
PUT_OFF = timedelta(minutes=1)
SHORTEST_REST_S = 0.01
"""A due alert may be locked for an instant by a message that stretches it."""

Verdict = tuple[Snapshot, Decision]


class AlertWorker(Worker):
    """Turns due alerts into deliveries."""

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        snapshots: Snapshots,
        delays: alerts.Delays,
        clock: Clock,
        on_delivery: Callable[[], None],
    ) -> None:
        super().__init__()
        self._database = database
        self._ledger = ledger
        self._snapshots = snapshots
        self._delays = delays
        self._clock = clock
        self._on_delivery = on_delivery

    async def round(self) -> float:
        """Decide on one batch; return how long the next alert has yet to wait."""
        now = self._clock()
        hidden_until = now + HIDDEN
        async with self._database.transaction() as tx:
            taken = await alerts.take_due(tx.connection, now, hidden_until, BATCH)
        if taken:
            snapshots = await self._snapshots.take([(alert.span, alert.transport) for alert in taken])
            verdicts = {
                alert: (snapshot, _decision(snapshot)) for alert, snapshot in zip(taken, snapshots, strict=True)
            }
            await self._conclude(verdicts, hidden_until)
        if len(taken) == BATCH:
            return 0
        async with self._database.connection() as connection:
            next_due = await alerts.next_due(connection)
        return POLL_S if next_due is None else max(SHORTEST_REST_S, (next_due - self._clock()).total_seconds())

    async def _conclude(self, verdicts: Mapping[DueAlert, Verdict], hidden_until: datetime) -> None:
        async with self._database.transaction() as tx:
            ours = await alerts.still_held(tx.connection, list(verdicts), hidden_until)
            decisions = [(alert, verdicts[alert][1]) for alert in ours]
            later = [(alert, decision) for alert, decision in decisions if isinstance(decision, Postpone)]
            done = [alert for alert, decision in decisions if not isinstance(decision, Postpone)]
            now = self._clock()
            await alerts.close(tx.connection, done, now, self._delays)
            await alerts.put_off(tx.connection, later)
            await self._ledger.add(tx, [_delivery(alert, verdicts[alert], now) for alert in done])
            if done:
                tx.after_commit(self._on_delivery)


def _delivery(alert: DueAlert, verdict: Verdict, now: datetime) -> Delivery:
    snapshot, decision = verdict
    unread = snapshot.span.unread_count
    return delivery_of(alert, decision, delivery_id=new_id(), unread_count=unread, now=now)


def _decision(snapshot: Snapshot) -> Decision:
    """`decide`, so that one alert that it stumbles over doesn't hold up the others."""
    try:
        return decide(snapshot)
    except Exception:
        log.exception("decision_failed", thread_id=str(snapshot.thread_id))
        return Postpone(snapshot.now + PUT_OFF, "on_hold")
