"""Defends: alerts keep up, also with 100,000 of them due at once, and a flood of them doesn't slow sending.

Events and deliveries: the real module in this process, with a provider that takes everything at once, so that what is
measured is ours. The flood: the real server, which sends what is due while people talk in an open loop; both halves of
a round have the same load, in one of them alerts wait for another day.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import perf_counter

from benchmarks import shape
from benchmarks.host import Host
from benchmarks.load.conversation import Place, talk
from benchmarks.load.stats import milliseconds
from benchmarks.load.verdict import Figures, judge
from benchmarks.machine import LOAD_CORE, CpuMeter, own_pid
from benchmarks.postgres import Postgres
from benchmarks.report import Row, compared, plain
from benchmarks.servers import Server
from bus import Bus
from kernel.database import Database
from kernel.ids import new_id
from kernel.settings import Settings
from modules.contacts.module import Invitations
from modules.identity.directory import Directory
from modules.messaging.conversations import Conversations
from modules.messaging.events import MessageCreated
from modules.notifications.domain.outcomes import Accepted, Outcome
from modules.notifications.module import NotificationsModule
from modules.notifications.transports import Outgoing
from realtime.hub import Hub
from realtime.presence.memory import MemoryPresence

PART = "Alerts"
PEOPLE = 2_000
CHANNELS = 20_000
RECIPIENTS = 5
ALERTS = CHANNELS * RECIPIENTS
EVENTS = 20_000
DELIVERED_S = 10.0
"""For how long deliveries are counted."""
TALKING, MEMBERS, PER_S = 50, 6, 300.0

FILL_PEOPLE = """
INSERT INTO identity_users (user_id, username, display_name, phone, time_zone)
SELECT 'alerted-' || n, 'alerted-' || n, 'Person ' || n, '+4477' || lpad(n::text, 8, '0'), 'Europe/London'
FROM generate_series(1, $1::int) AS n
"""
FILL_CHANNELS = """
INSERT INTO chat_channels (id, kind, genesis, head_hash, last_seq, last_record_at, last_message_at, created_at)
SELECT md5('alerts' || n)::uuid, 'group', '{}', '', 1, at, at, at
FROM generate_series(1, $1::int) AS n, LATERAL (SELECT now() - interval '1 hour' AS at) t
"""
FILL_MEMBERS = """
INSERT INTO chat_participants (channel_id, user_id, role, joined_at)
SELECT md5('alerts' || n)::uuid, 'alerted-' || 1 + (n * 7 + m) % $3, 'member', now()
FROM generate_series(1, $1::int) AS n, generate_series(0, $2::int) AS m
"""
FILL_MESSAGES = """
INSERT INTO chat_messages (channel_id, seq, id, kind, sender_id, sender_username, sender_display_name, client_id,
    content, created_at, hash)
SELECT md5('alerts' || n)::uuid, 1, gen_random_uuid(), 'text', 'alerted-' || 1 + n * 7 % $2, 'somebody', 'Somebody',
    'c', 'The crane is there.', now() - interval '1 hour', ''
FROM generate_series(1, $1::int) AS n
"""
FILL_ALERTS = """
INSERT INTO notification_alerts (user_id, thread_id, transport, category, to_seq, message_count, begun_at, due_at)
SELECT 'alerted-' || 1 + (n * 7 + m) % $3, md5('alerts' || n)::uuid, 'sms', 'messages', 1, 1,
    now() - interval '1 hour', $4
FROM generate_series(1, $1::int) AS n, generate_series(1, $2::int) AS m
"""
LEFT = "SELECT count(*) FROM bus_outbox"
DELIVERED = "SELECT count(*) FROM notification_deliveries WHERE state = 'accepted'"
ENDED = "SELECT count(*) FROM notification_alerts WHERE due_at IS NULL"
CALM = ("DELETE FROM notification_deliveries", "DELETE FROM notification_alerts", "DELETE FROM bus_outbox")


class Accepting:
    """A provider that takes everything at once."""

    name = "sms"

    async def send(self, message: Outgoing) -> Outcome:
        """Take it."""
        return Accepted(f"taken-{message.delivery_id}")

    async def close(self) -> None:
        """Nothing to let go of."""


async def measure(database: Database, *, rounds: int) -> list[Row]:
    """Return how fast events are consumed, and alerts decided and delivered."""
    await _fill(database)
    consumed = [await _consumed_per_s(database) for _ in range(rounds)]
    ended, delivered = zip(*[await _delivered_per_s(database) for _ in range(rounds)], strict=True)
    return [
        plain(PART, f"events consumed, {RECIPIENTS} recipients each", consumed, unit="events/s"),
        plain(PART, f"alerts decided, {ALERTS:,} due", ended, unit="alerts/s"),
        plain(PART, f"deliveries, {ALERTS:,} alerts due", delivered, unit="deliveries/s"),
    ]


async def flood(
    server: Server, host: Host, postgres: Postgres, database: Database, *, rounds: int, seconds: int
) -> Row:
    """Return the p99 of acks while alerts are due by the ten thousand, against that while none is."""
    people = [shape.user_id(number) for number in range(1, TALKING * MEMBERS + 1)]
    tokens = host.people(people)
    places = [
        Place(
            host.booking(f"flood-{start}", people[start : start + MEMBERS], "Hello"),
            people[start : start + MEMBERS],
            MEMBERS,
        )
        for start in range(0, len(people), MEMBERS)
    ]
    calm: list[Figures] = []
    flooded: list[Figures] = []
    sent = 0
    for number in range(rounds):
        for figures, is_due in ((calm, False), (flooded, True)):
            await _set(database, datetime.now(UTC) + timedelta(0 if is_due else 1))
            with postgres.on_cores(LOAD_CORE):
                meter = CpuMeter(server=server.pid, load=own_pid())
                run = f"{number}-{is_due}"
                figures.append(
                    judge(await talk([server], places, tokens, meter, run=run, seconds=seconds, per_s=PER_S))
                )
            sent += await _count(database, DELIVERED)
    row = compared(
        PART,
        f"ack p99 at {PER_S:g} messages/s while {ALERTS:,} alerts are due",
        [one.ack_p99 * 1000 for one in flooded],
        [one.ack_p99 * 1000 for one in calm],
        unit="ms",
        against="ms, while none is",
    )
    row.also["ack p50"] = milliseconds(sorted(one.ack_p50 for one in flooded)[len(flooded) // 2])
    row.also["ack p50, while none is"] = milliseconds(sorted(one.ack_p50 for one in calm)[len(calm) // 2])
    row.also["SMS sent meanwhile"] = float(sent)
    return row


async def _consumed_per_s(database: Database) -> float:
    await _set(database, None)
    bus, module = _module(database)
    module.subscribe(bus)
    for start in range(0, EVENTS, 1_000):
        async with database.transaction() as tx:
            await bus.publish(tx, *(_event(number) for number in range(start, start + 1_000)))
    began = perf_counter()
    bus.start(database)
    try:
        while await _count(database, LEFT):
            await asyncio.sleep(0.05)
        return EVENTS / (perf_counter() - began)
    finally:
        await bus.stop()


async def _delivered_per_s(database: Database) -> tuple[float, float]:
    await _set(database, datetime.now(UTC))
    _, module = _module(database)
    async with _working(module):
        began = perf_counter()
        await asyncio.sleep(DELIVERED_S)
        ended, delivered = await _count(database, ENDED), await _count(database, DELIVERED)
        took = perf_counter() - began
    return ended / took, delivered / took


@asynccontextmanager
async def _working(module: NotificationsModule) -> AsyncIterator[None]:
    await module.start()
    try:
        yield
    finally:
        await module.stop()


def _module(database: Database) -> tuple[Bus, NotificationsModule]:
    bus, transport = Bus(), Accepting()
    module = NotificationsModule(
        settings=Settings(
            default_quiet_hours="00:00-00:00", sms_per_s=0, sms_max_per_day=0, sms_max_per_recipient_per_day=0
        ),
        database=database,
        bus=bus,
        conversations=Conversations(database),
        invitations=Invitations(database, Directory(database)),
        presence=MemoryPresence(Hub(), 300),
        recipients=Directory(database),
        transports={transport.name: transport},
    )
    return bus, module


def _event(number: int) -> MessageCreated:
    """Return the event of a message in one of the channels, which are taken in turn."""
    first = number % CHANNELS * 7
    return MessageCreated(
        channel_id=new_id(),
        message_id=new_id(),
        seq=1,
        sender_id="somebody",
        sender_name="Somebody",
        recipient_ids=[f"alerted-{1 + (first + m) % PEOPLE}" for m in range(1, RECIPIENTS + 1)],
        message_preview=shape.CONTENT,
    )


async def _count(database: Database, query: str) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval(query))


async def _fill(database: Database) -> None:
    """Make everything by hand: what is measured is what becomes of it."""
    async with database.transaction() as tx:
        await tx.connection.execute(FILL_PEOPLE, PEOPLE)
        await tx.connection.execute(FILL_CHANNELS, CHANNELS)
        await tx.connection.execute(FILL_MEMBERS, CHANNELS, RECIPIENTS, PEOPLE)
        await tx.connection.execute(FILL_MESSAGES, CHANNELS, PEOPLE)


async def _set(database: Database, due_at: datetime | None) -> None:
    """Forget what was sent; let all alerts be due at this time, if at any."""
    async with database.transaction() as tx:
        for statement in CALM:
            await tx.connection.execute(statement)
        if due_at is not None:
            await tx.connection.execute(FILL_ALERTS, CHANNELS, RECIPIENTS, PEOPLE, due_at)
