"""Defends: with Redis dead under load nothing is lost, and deliveries are within 1 s at p99 once it is back.

Two instances, and people of each channel on both, who write in an open loop all the time. Redis is killed, and comes
back empty. Every socket is checked as in every run: each record once, in order.
"""

import asyncio
from time import perf_counter

from benchmarks import redis, servers, shape
from benchmarks.host import Host
from benchmarks.load.conversation import Place, talk
from benchmarks.load.stats import milliseconds
from benchmarks.load.verdict import Times, times
from benchmarks.machine import LOAD_CORE, CpuMeter, own_pid
from benchmarks.postgres import Postgres
from benchmarks.report import Row, limited, plain
from benchmarks.servers import Server
from tests.support.redis_server import RedisServer

PART = "Redis away"
CHANNELS = 50
MEMBERS = 4
PER_S = 200.0
BEFORE_S = AFTER_S = 5.0
AT_MOST_MS = 1000.0


class Outage:
    """Redis goes and comes back while everybody talks; when it did is kept."""

    def __init__(self, server: RedisServer, away_s: float) -> None:
        self.gone = self.back = 0.0
        self._server = server
        self._away_s = away_s

    async def happen(self) -> None:
        """Wait, take it away, bring it back."""
        await asyncio.sleep(BEFORE_S)
        self.gone = perf_counter()
        await asyncio.to_thread(self._server.kill)
        await asyncio.sleep(self._away_s)
        await asyncio.to_thread(self._server.start)
        self.back = perf_counter()


async def measure(postgres: Postgres, key: str, *, away_s: float) -> list[Row]:
    """Return the rows of an outage of so many seconds."""
    try:
        with redis.fresh() as server, servers.pair(postgres.dsn, server.url) as pair, postgres.on_cores(LOAD_CORE):
            return await _measure(pair, Host(pair[0].port, key), Outage(server, away_s), away_s)
    except redis.RedisMissingError as error:
        return redis.without(PART, error)


async def _measure(pair: tuple[Server, Server], host: Host, outage: Outage, away_s: float) -> list[Row]:
    people = [shape.user_id(number) for number in range(1, CHANNELS * MEMBERS + 1)]
    tokens = host.people(people)
    places = []
    for start in range(0, len(people), MEMBERS):
        members = people[start : start + MEMBERS]
        places.append(Place(host.booking(f"outage-{start}", members, "Hello"), members, senders=MEMBERS))
    meter = CpuMeter(load=own_pid())
    seconds = BEFORE_S + away_s + AFTER_S
    talking = talk(pair, places, tokens, meter, run="o", seconds=seconds, per_s=PER_S, meanwhile=outage.happen())
    recording = await talking
    return _rows(times(recording), outage, recording.begin, recording.end, away_s)


def _rows(happened: Times, outage: Outage, begin: float, end: float, away_s: float) -> list[Row]:
    spans = {"before": (begin, outage.gone), "during": (outage.gone, outage.back), "after": (outage.back, end)}
    figures = {name: happened.figures(*span) for name, span in spans.items()}
    after = limited(
        PART, "delivery p99 once it is back", [figures["after"].delivery_p99 * 1000], unit="ms", at_most=AT_MOST_MS
    )
    after.also.update({name: milliseconds(one.delivery_p99) for name, one in figures.items() if name != "after"})
    acks = plain(PART, "ack p99 meanwhile", [figures["during"].ack_p99 * 1000], unit="ms")
    acks.also["before"] = milliseconds(figures["before"].ack_p99)
    wrong = limited(PART, f"lost, repeated or out of order, {away_s:g} s without it", [0.0], unit="records", at_most=0)
    wrong.also["deliveries, each checked"] = float(len(happened.deliveries))
    return [wrong, after, acks]
