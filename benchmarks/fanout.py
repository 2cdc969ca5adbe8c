"""Defends: fan-out to 100 and 1,000 readers ≥ 1.2 × Node `ws`, and ≥ 5 × on a busy channel, like for like.

Like for like: Parley's hub on its protocol class against Node's `ws`, broadcasting the same bytes on the same
command to the same load generator, each alone on the server's core: one broadcast at a time, where every
frame is a write of its own, and many under way, where Parley's hub joins a turn's frames to one write for
each socket. Then the whole of Parley, where each broadcast is a message that is committed first; Node does
nothing of that kind.
"""

from contextlib import ExitStack
from itertools import product
from statistics import median

from benchmarks import servers, shape
from benchmarks.host import Host
from benchmarks.load.broadcast import Broadcasts, broadcast
from benchmarks.load.conversation import Place, talk
from benchmarks.load.stats import milliseconds
from benchmarks.load.verdict import Figures, judge
from benchmarks.machine import LOAD_CORE, CpuMeter, own_pid
from benchmarks.postgres import Postgres
from benchmarks.report import Row, compared, plain, skipped
from benchmarks.servers import NodeMissingError, Server

PART = "Fan-out against Node ws"
READERS = (100, 1000)
SINGLE, BUSY = 1, 32
TARGETS = {SINGLE: 1.2, BUSY: 5.0}
NAMES = {SINGLE: "one broadcast at a time", BUSY: f"a busy channel, {BUSY} under way"}
SENDERS = 4
PAYLOAD = b'{"type":"message.created","content":"%s"}' % (b"x" * 260)


async def measure(server: Server, host: Host, postgres: Postgres, *, rounds: int, seconds: int) -> list[Row]:
    """Return the rows for each count of readers."""
    people = [shape.user_id(number) for number in range(1, max(READERS) + 1)]
    tokens = host.people(people)
    pure = await _pure(list(tokens.values()), rounds, seconds)
    rows = []
    for readers in READERS:
        place = Place(host.booking(f"fanout-{readers}", people[:readers], "Hello"), people[:readers], SENDERS)
        whole = []
        for number in range(rounds):
            with postgres.on_cores(LOAD_CORE):
                meter = CpuMeter(server=server.pid, load=own_pid())
                recording = await talk([server], [place], tokens, meter, run=f"fanout-{number}", seconds=seconds)
            whole.append((judge(recording), recording.shares))
        rows += [_like_for_like(readers, window, pure) for window in (SINGLE, BUSY)]
        rows.append(_whole(readers, whole, pure))
    return rows


Rounds = dict[tuple[str, int, int], list[Broadcasts]]


async def _pure(tokens: list[str], rounds: int, seconds: int) -> Rounds:
    """Both servers in turn; without Node only ours."""
    results: Rounds = {}
    with ExitStack() as stack:
        running = [stack.enter_context(servers.broadcasting(PAYLOAD))]
        try:
            running.append(stack.enter_context(servers.node(PAYLOAD)))
        except NodeMissingError as error:
            print(f"\n*** {error}: NOTHING IS COMPARED WITH NODE ***\n")
        for readers, window, _ in product(READERS, (SINGLE, BUSY), range(rounds)):
            for server in running:
                meter = CpuMeter(server=server.pid, load=own_pid())
                result = await broadcast(server, tokens[:readers], PAYLOAD, seconds=seconds, window=window, meter=meter)
                results.setdefault((server.name, readers, window), []).append(result)
    return results


def _like_for_like(readers: int, window: int, results: Rounds) -> Row:
    ours, node = results[servers.OURS, readers, window], results.get((servers.NODE, readers, window))
    what = f"hub alone, {readers:,} readers, {NAMES[window]}"
    if node is None:
        return skipped(PART, what, "Node is missing")
    return compared(
        PART,
        what,
        [one.deliveries_per_s for one in ours],
        [one.deliveries_per_s for one in node],
        unit="deliveries/s",
        against="Node ws",
        at_least=TARGETS[window],
        also=_shares(ours) | {f"{name}, Node": value for name, value in _shares(node).items()},
    )


def _whole(readers: int, whole: list[tuple[Figures, dict[str, float]]], pure: Rounds) -> Row:
    what = f"the whole server, {readers:,} readers, {SENDERS} senders, durable"
    values = [figures.deliveries_per_s for figures, _ in whole]
    also = _shares([Broadcasts(figures.deliveries_per_s, shares) for figures, shares in whole]) | {
        "delivery p50": milliseconds(median(figures.delivery_p50 for figures, _ in whole)),
    }
    node = pure.get((servers.NODE, readers, SINGLE))
    if node is None:
        return plain(PART, what, values, unit="deliveries/s", also=also)
    return compared(
        PART,
        what,
        values,
        [one.deliveries_per_s for one in node],
        unit="deliveries/s",
        against="Node ws, not durable",
        also=also,
    )


def _shares(results: list[Broadcasts]) -> dict[str, float | str]:
    return {
        "server's µs each": median(one.shares["server"] / one.deliveries_per_s for one in results) * 1e6,
        "server's core": f"{median(one.shares['server'] for one in results):.0%}",
        "load's share": f"{median(one.shares['load'] for one in results):.0%}",
    }
