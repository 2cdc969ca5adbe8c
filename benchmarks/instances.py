"""Reports what a second instance brings and costs.

Against one instance on the server's core: two that share this core, where the ratio says what telling each other
costs; and two on a core each, the second beside PostgreSQL, Redis and the load, where it says what this machine gains.
Senders and readers are spread over both. On machines of their own two instances do twice what the first ratio says.

Then, nearly idle: how much later a message arrives on the other instance than on the one that it was sent to.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks import redis, servers, shape
from benchmarks.host import Host
from benchmarks.load.conversation import Place, talk
from benchmarks.load.stats import milliseconds, percentile
from benchmarks.load.verdict import Delivery, Figures, judge, times
from benchmarks.machine import LOAD_CORE, SERVER_CORE, CpuMeter, own_pid
from benchmarks.postgres import Postgres
from benchmarks.report import Row, compared, plain
from benchmarks.servers import Server

PART = "Two instances"
READERS = 200
PAIRS = 32
QUIET_PER_S = 50
QUIET_S = 6
ONE = "one instance"
LAYOUTS = {"two sharing its core": SERVER_CORE, "two on a core each": LOAD_CORE}


@dataclass(frozen=True)
class Run:
    """A scene's figures, and how much of a core its servers had for it."""

    figures: Figures
    core: float


Runs = dict[tuple[str, str], list[Run]]


async def measure(postgres: Postgres, key: str, *, rounds: int, seconds: int) -> list[Row]:
    """Return the rows of both scenes in both layouts, and of the way through Redis."""
    try:
        with redis.fresh() as server:
            return await _measure(postgres, key, server.url, rounds, seconds)
    except redis.RedisMissingError as error:
        return redis.without(PART, error)


async def _measure(postgres: Postgres, key: str, redis_url: str, rounds: int, seconds: int) -> list[Row]:
    people = [shape.user_id(number) for number in range(1, READERS + 1)]
    with servers.parley(postgres.dsn) as server:
        host = Host(server.port, key)
        tokens = host.people(people)
        scenes = _scenes(host, people)
        quiet = Place(host.booking("quiet", people[:3], "Hello"), people[:3], senders=1)
    runs: Runs = {}
    for number in range(rounds):
        for layout in (ONE, *LAYOUTS):
            with _running(postgres, redis_url, layout) as instances:
                for scene, places in scenes.items():
                    run = f"{layout[-4:]}-{number}".replace(" ", "")
                    recorded = await _talk(instances, places, tokens, run, seconds)
                    runs.setdefault((scene, layout), []).append(recorded)
    hops = await _hops(postgres, redis_url, quiet, tokens)
    rows = [_row(scene, layout, runs) for scene in scenes for layout in LAYOUTS]
    return [*rows, *hops]


def _scenes(host: Host, people: list[str]) -> dict[str, list[Place]]:
    pairs = [people[n * 2 : n * 2 + 2] for n in range(PAIRS)]
    return {
        f"{PAIRS * 2} senders in {PAIRS} channels of 2": [
            Place(host.booking(f"pair-{n}", pair, "Hello"), pair, senders=2) for n, pair in enumerate(pairs)
        ],
        f"4 senders with {READERS} members": [Place(host.booking("busy", people, "Hello"), people, senders=4)],
    }


@contextmanager
def _running(postgres: Postgres, redis_url: str, layout: str) -> Iterator[Sequence[Server]]:
    """Run the instances of a layout. One alone has no Redis: it needs none."""
    if layout == ONE:
        with servers.parley(postgres.dsn) as server, postgres.on_cores(LOAD_CORE):
            yield [server]
    else:
        with (
            servers.pair(postgres.dsn, redis_url, second_on=LAYOUTS[layout]) as instances,
            postgres.on_cores(LOAD_CORE),
        ):
            yield instances


async def _talk(
    instances: Sequence[Server], places: list[Place], tokens: dict[str, str], run: str, seconds: int
) -> Run:
    meter = CpuMeter(load=own_pid(), **{f"server {n}": server.pid for n, server in enumerate(instances)})
    recording = await talk(instances, places, tokens, meter, run=run, seconds=seconds)
    core = sum(share for name, share in recording.shares.items() if name != "load")
    return Run(judge(recording), core)


def _row(scene: str, layout: str, runs: Runs) -> Row:
    unit = "deliveries/s" if "members" in scene else "acks/s"
    field = "deliveries_per_s" if "members" in scene else "acks_per_s"
    ours, alone = runs[scene, layout], runs[scene, ONE]

    def each(some: list[Run]) -> list[float]:
        return [float(getattr(run.figures, field)) for run in some]

    def cost(some: list[Run]) -> float:
        return median(run.core / value for run, value in zip(some, each(some), strict=True)) * 1e6

    def p99(some: list[Run]) -> str:
        return milliseconds(median(run.figures.delivery_p99 for run in some))

    also: dict[str, float | str] = {
        "servers' µs each": cost(ours),
        "alone": cost(alone),
        "delivery p99": p99(ours),
        "alone, p99": p99(alone),
    }
    return compared(PART, f"{scene}, {layout}", each(ours), each(alone), unit=unit, against=ONE, also=also)


async def _hops(postgres: Postgres, redis_url: str, place: Place, tokens: dict[str, str]) -> list[Row]:
    """Compare two readers, one on the sender's instance and one on the other, of the same messages."""
    with servers.pair(postgres.dsn, redis_url) as instances, postgres.on_cores(LOAD_CORE):
        meter = CpuMeter(load=own_pid())
        recording = await talk(instances, [place], tokens, meter, run="hop", seconds=QUIET_S, per_s=QUIET_PER_S)
        got = times(recording).deliveries
    here, there = (_latencies(got, server) for server in instances)
    what = f"delivery at {QUIET_PER_S} messages/s"
    return [
        _delay(f"{what}, on the same instance: p50", here),
        _delay(f"{what}, on the other: p50", there),
    ]


def _latencies(deliveries: Sequence[Delivery], server: Server) -> list[float]:
    return [latency for _, latency, to in deliveries if to.server is server]


def _delay(what: str, latencies: Sequence[float]) -> Row:
    p50 = percentile(latencies, 50) * 1000
    also: dict[str, float | str] = {"p99": milliseconds(percentile(latencies, 99)), "messages": float(len(latencies))}
    return plain(PART, what, [p50], unit="ms", also=also)
