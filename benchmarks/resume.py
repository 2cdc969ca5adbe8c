"""Defends: 5,000 missed records, asked for at another instance than the one that wrote them, are there within 300 ms
at p99, exactly those, in order.

Two instances share the server's core; only the second one works meanwhile. A resume counts from its frame to `resumed`.
Each is compared with the rows of the log.
"""

import asyncio
from collections.abc import Sequence
from statistics import median
from uuid import UUID

import msgspec

from benchmarks import redis, servers, shape
from benchmarks.host import Host
from benchmarks.load.catching_up import Returning, come
from benchmarks.load.conversation import Place, speaking
from benchmarks.load.stats import milliseconds, percentile
from benchmarks.load.verdict import WrongDeliveryError
from benchmarks.machine import LOAD_CORE
from benchmarks.postgres import Postgres
from benchmarks.report import Row, limited, plain
from benchmarks.servers import Server
from kernel.database import Database

PART = "Catching up on another instance"
RECORDS = 5_000
AT_MOST_MS = 300.0
ONE_BY_ONE = 40
"""Resumes in each round."""
AT_ONCE = 20
UNDER_WAY = 32

LOG = """
SELECT seq, id, sender_id, content FROM chat_messages WHERE channel_id = $1 AND seq > $2 ORDER BY seq
"""


class Sender(msgspec.Struct):
    """Of a message."""

    user_id: str


class Message(msgspec.Struct):
    """What the log knows of a message."""

    id: UUID
    sender: Sender
    content: str


class Created(msgspec.Struct):
    """A frame of the log."""

    seq: int
    message: Message


async def measure(postgres: Postgres, key: str, database: Database, *, rounds: int) -> list[Row]:
    """Return the rows for one client at a time and for many at once."""
    try:
        with redis.fresh() as server, servers.pair(postgres.dsn, server.url) as pair, postgres.on_cores(LOAD_CORE):
            return await _measure(pair, Host(pair[0].port, key), database, rounds)
    except redis.RedisMissingError as error:
        return redis.without(PART, error)


async def _measure(pair: tuple[Server, Server], host: Host, database: Database, rounds: int) -> list[Row]:
    people = [shape.user_id(1), shape.user_id(2)]
    tokens = host.people(people)
    place = Place(host.booking("resumed", people, "Hello"), people, senders=1)
    log = await _written(pair[0], place, tokens, database)
    reader = tokens[people[1]]
    alone = [[await _resume(pair[1], reader, place, log) for _ in range(ONE_BY_ONE)] for _ in range(rounds)]
    together = [
        await asyncio.gather(*(_resume(pair[1], reader, place, log) for _ in range(AT_ONCE))) for _ in range(rounds)
    ]
    return [_judged(alone), _many(together)]


async def _written(server: Server, place: Place, tokens: dict[str, str], database: Database) -> list[Created]:
    """Have somebody write what the other misses; returns the last `RECORDS` of the log."""
    async with speaking([server], [place], tokens, "missed") as (writer, _):
        for _ in range(UNDER_WAY):
            writer.send()
        writer.chatty = True
        while len(writer.sent) < RECORDS:
            await asyncio.sleep(0.001)
        writer.chatty = False
        while writer.answered < len(writer.sent):
            await asyncio.sleep(0.001)
    async with database.connection() as connection:
        rows = await connection.fetch(LOG, UUID(place.channel_id), 0)
    return [Created(seq, Message(message, Sender(sender), text)) for seq, message, sender, text in rows][-RECORDS:]


async def _resume(server: Server, token: str, place: Place, log: Sequence[Created]) -> float:
    client = await come(server, token)
    try:
        took = await client.resume({place.channel_id: log[0].seq - 1})
    finally:
        client.close()
    _check(client, log)
    return took


def _check(client: Returning, log: Sequence[Created]) -> None:
    got = [msgspec.json.decode(payload, type=Created) for payload in client.payloads()[:-1]]
    if got != list(log):
        raise WrongDeliveryError(f"a resume brought {len(got)} frames, which are not the {len(log)} records missed")


def _judged(rounds: Sequence[Sequence[float]]) -> Row:
    p99 = [percentile(times, 99) * 1000 for times in rounds]
    row = limited(PART, f"{RECORDS:,} records, one client at a time: p99", p99, unit="ms", at_most=AT_MOST_MS)
    return _with(row, rounds)


def _many(rounds: Sequence[Sequence[float]]) -> Row:
    p99 = [percentile(times, 99) * 1000 for times in rounds]
    return _with(plain(PART, f"{RECORDS:,} records, {AT_ONCE} clients at once: p99", p99, unit="ms"), rounds)


def _with(row: Row, rounds: Sequence[Sequence[float]]) -> Row:
    row.also["p50"] = milliseconds(median(percentile(times, 50) for times in rounds))
    row.also["resumes, all exact"] = f"{sum(map(len, rounds))}"
    return row
