"""Looks for what must never be: an SMS twice, an alert lost, a ledger that contradicts the provider."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from uuid import UUID

from kernel.database import Database
from modules.notifications.domain.delivery import Delivery
from tests.support.twilio_server import Sms

NOT_SENT = {"pending", "claimed", "failed", "suppressed", "dead"}
UNFINISHED = {"pending", "claimed", "sending"}


def doubles(sent: Sequence[Sms]) -> list[str]:
    """Deliveries that the provider made more than one message of."""
    made = Counter(sms.delivery_id for sms in sent)
    return [f"{delivery_id} was sent {times} times" for delivery_id, times in made.items() if times > 1]


def contradictions(ledger: Sequence[Delivery], sent: Sequence[Sms]) -> list[str]:
    """Deliveries that the ledger says weren't sent, but were, or the other way round."""
    made = {sms.delivery_id for sms in sent}
    found = [f"{d.id} is {d.state} but was sent" for d in ledger if d.state in NOT_SENT and d.id in made]
    claims = {"accepted", "delivered", "undelivered"}
    return found + [f"{d.id} is {d.state} but wasn't sent" for d in ledger if d.state in claims and d.id not in made]


def unfinished(ledger: Sequence[Delivery]) -> list[str]:
    """Deliveries that nobody has come to an end with."""
    return [f"{d.id} is still {d.state}" for d in ledger if d.state in UNFINISHED]


def misranged(ledger: Sequence[Delivery], last_seq: int, people: Sequence[tuple[str, UUID]]) -> list[str]:
    """People and channels whose messages 1..last aren't in exactly one row of the ledger each."""
    seqs: dict[tuple[str, UUID], list[int]] = defaultdict(list)
    for d in ledger:
        assert d.span is not None
        seqs[d.user_id, d.span.channel_id] += range(d.span.from_seq, d.span.to_seq + 1)
    expected = list(range(1, last_seq + 1))
    return [f"{key}: {sorted(seqs[key])}" for key in people if sorted(seqs[key]) != expected]


async def open_alerts(database: Database) -> int:
    """How many alerts are still open."""
    async with database.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM notification_alerts WHERE due_at IS NOT NULL"))
