"""Defends: over sockets, durable and acknowledged, ≥ 1.5 × the messages of the best pgbench, with p99 < 25
ms.

The real server alone on its core, PostgreSQL and the load on the other, as facts about other chat servers
were taken. pgbench runs between the rounds, on both cores, at the count of clients that suits it best.
"""

from dataclasses import dataclass
from statistics import median

from benchmarks import pgbench, shape
from benchmarks.host import Host
from benchmarks.load.conversation import Place, talk
from benchmarks.load.stats import milliseconds
from benchmarks.load.verdict import Figures, judge
from benchmarks.machine import LOAD_CORE, CpuMeter, own_pid
from benchmarks.postgres import Postgres
from benchmarks.report import Row, compared, limited, plain
from benchmarks.servers import Server

PART = "End to end over sockets"
PEOPLE = 600
LARGE = 500


@dataclass(frozen=True)
class Scene:
    """Who talks where. `per_s`: arrivals of an open loop instead of senders that wait for their acks."""

    name: str
    channels: int
    members: int
    senders: int
    per_s: float | None = None
    judged: bool = False


SCENES = (
    Scene("64 senders in 32 channels of 2", channels=32, members=2, senders=2, judged=True),
    Scene("256 senders in 128 channels of 2", channels=128, members=2, senders=2),
    Scene("64 senders in one channel of 64", channels=1, members=64, senders=64),
    Scene(f"4 senders with {LARGE} members", channels=1, members=LARGE, senders=4),
    Scene("open loop, 500/s in 100 channels of 6", channels=100, members=6, senders=6, per_s=500),
)
RATIO, P99_S = 1.5, 0.025


@dataclass(frozen=True)
class Round:
    """A scene's figures in one round, with the CPU shares."""

    figures: Figures
    shares: dict[str, float]
    lag_s: float


async def measure(server: Server, host: Host, postgres: Postgres, *, rounds: int, seconds: int) -> list[Row]:
    """Return the rows of every scene."""
    everybody = [shape.user_id(number) for number in range(1, PEOPLE + 1)]
    tokens = host.people(everybody)
    places = {scene: _places(host, scene, everybody) for scene in SCENES}
    clients = (await pgbench.best_clients(postgres, channels=shape.CHANNELS, seconds=1))[0].clients
    baseline: list[float] = []
    results: dict[Scene, list[Round]] = {scene: [] for scene in SCENES}
    for number in range(rounds):
        run = await pgbench.run(postgres, channels=shape.CHANNELS, clients=clients, seconds=seconds)
        baseline.append(run.per_s)
        for scene in SCENES:
            with postgres.on_cores(LOAD_CORE):
                meter = CpuMeter(server=server.pid, load=own_pid())
                recording = await talk(
                    [server], places[scene], tokens, meter, run=f"{number}", seconds=seconds, per_s=scene.per_s
                )
            lag = max(recording.lag_s, default=0.0)
            results[scene].append(Round(judge(recording), recording.shares, lag))
    return [row for scene in SCENES for row in _rows(scene, results[scene], baseline)]


def _places(host: Host, scene: Scene, everybody: list[str]) -> list[Place]:
    places = []
    for number in range(scene.channels):
        members = [everybody[(number * scene.members + m) % PEOPLE] for m in range(scene.members)]
        channel = host.booking(f"{scene.channels}x{scene.members}-{number}", members, "Hello")
        places.append(Place(channel, members, scene.senders))
    return places


def _rows(scene: Scene, rounds: list[Round], baseline: list[float]) -> list[Row]:
    figures = [one.figures for one in rounds]
    if scene.per_s is not None:
        return [_paced(scene, rounds)]
    rows = [
        compared(
            PART,
            f"{scene.name}: durable acks",
            [f.acks_per_s for f in figures],
            baseline,
            unit="acks/s",
            against="best pgbench",
            at_least=RATIO if scene.judged else None,
            also=_also(rounds),
        )
    ]
    if scene.judged:
        p99 = [f.ack_p99 * 1000 for f in figures]
        rows.append(limited(PART, f"{scene.name}: ack p99", p99, unit="ms", at_most=P99_S * 1000))
    return rows


def _paced(scene: Scene, rounds: list[Round]) -> Row:
    also = _also(rounds) | {"sent late by at most": milliseconds(max(one.lag_s for one in rounds))}
    return plain(PART, f"{scene.name}: acks", [one.figures.acks_per_s for one in rounds], unit="acks/s", also=also)


def _also(rounds: list[Round]) -> dict[str, float | str]:
    def middle(name: str) -> float:
        return float(median(getattr(one.figures, name) for one in rounds))

    return {
        "deliveries/s": middle("deliveries_per_s"),
        "ack p50": milliseconds(middle("ack_p50")),
        "ack p99": milliseconds(middle("ack_p99")),
        "delivery p50": milliseconds(middle("delivery_p50")),
        "delivery p99": milliseconds(middle("delivery_p99")),
        "acks ahead of others' frames": middle("acks_ahead"),
        "server's µs an ack": median(one.shares["server"] / one.figures.acks_per_s for one in rounds) * 1e6,
        "server's core": f"{median(one.shares['server'] for one in rounds):.0%}",
        "load's share": f"{median(one.shares['load'] for one in rounds):.0%}",
    }
