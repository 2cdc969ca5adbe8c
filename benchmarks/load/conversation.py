"""People talking over sockets: who sends when, and afterwards what everybody got.

Two ways of sending: closed (each sender has one message under way and sends the next on its ack) and open
(arrivals of a Poisson process, whatever the server does). Everything that arrives is kept with its time and
checked when the clock has stopped, see `benchmarks.load.verdict`.
"""

import asyncio
import gc
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from benchmarks.load.frames import text_frame
from benchmarks.load.sockets import Answered
from benchmarks.load.transports import close_all, open_all
from benchmarks.machine import CpuMeter
from benchmarks.servers import Server
from benchmarks.shape import CONTENT

QUIET_S = 0.3
DRAIN_WITHIN_S = 20


@dataclass(frozen=True)
class Place:
    """A channel and the people in it; the first `senders` of them send."""

    channel_id: str
    user_ids: Sequence[str]
    senders: int


class Speaker(Answered):
    """A person's socket. `sent` holds when each of their messages was sent; the place there is its `ref`."""

    def __init__(self, transport: asyncio.Transport, place: Place, run: str, *, chatty: bool) -> None:
        super().__init__(self._answered_now)
        self.place = place
        self.sent: list[float] = []
        self.answered = 0
        self.chatty = chatty
        self._transport = transport
        self._head = b'{"type":"message.send","channel_id":"%s","content":"%s","client_id":"%s-' % (
            place.channel_id.encode(),
            CONTENT.encode(),
            run.encode(),
        )

    def send(self) -> None:
        """Send the next message."""
        number = len(self.sent)
        payload = self._head + b'%d","ref":"%d"}' % (number, number)
        self.sent.append(perf_counter())
        self._transport.write(text_frame(payload))

    def _answered_now(self, count: int) -> None:
        self.answered += count
        if self.chatty:
            self.send()


@dataclass
class Recording:
    """What a run left: everybody's sockets, and the span of time that counts."""

    speakers: list[Speaker]
    begin: float
    end: float
    shares: dict[str, float]
    lost: int
    lag_s: list[float] = field(default_factory=list)
    """How much later than meant each message of an open loop was sent: the generator's own delay."""


async def talk(
    server: Server,
    places: Sequence[Place],
    tokens: dict[str, str],
    meter: CpuMeter,
    *,
    run: str,
    seconds: float,
    warm_up_s: float = 0.5,
    per_s: float | None = None,
) -> Recording:
    """Let the senders of all places talk for `seconds`: in a closed loop, or at `per_s` in an open one."""
    people = [(place, user, rank < place.senders) for place in places for rank, user in enumerate(place.user_ids)]
    transports = await open_all(server, [tokens[user] for _, user, _ in people])
    try:
        chatty = per_s is None
        speakers = []
        for transport, (place, user, sends) in zip(transports, people, strict=True):
            speaker = Speaker(transport, place, f"{run}-{user}", chatty=chatty and sends)
            transport.set_protocol(speaker)
            speakers.append(speaker)
        senders = [speaker for speaker, (_, _, sends) in zip(speakers, people, strict=True) if sends]
        gc.collect()
        gc.disable()
        lag: list[float] = []
        if per_s is None:
            for speaker in senders:
                speaker.send()
        begin = perf_counter() + warm_up_s
        warm = asyncio.create_task(_restart(meter, warm_up_s))
        if per_s is None:
            await asyncio.sleep(warm_up_s + seconds)
        else:
            lag = await _arrivals(senders, per_s, warm_up_s + seconds)
        end = perf_counter()
        await warm
        shares = meter.shares(end - begin)
        for speaker in senders:
            speaker.chatty = False
        await _quiet(speakers)
        lost = sum(speaker.lost for speaker in speakers)
        return Recording(speakers, begin, end, shares, lost, lag)
    finally:
        gc.enable()
        await close_all(transports)


async def _restart(meter: CpuMeter, after_s: float) -> None:
    await asyncio.sleep(after_s)
    meter.restart()


async def _arrivals(senders: Sequence[Speaker], per_s: float, seconds: float) -> list[float]:
    lag = []
    due = started = perf_counter()
    while (due := due + random.expovariate(per_s)) < started + seconds:
        while (wait := due - perf_counter()) > 0:
            await asyncio.sleep(wait)
        lag.append(-wait)
        random.choice(senders).send()
    return lag


async def _quiet(speakers: Sequence[Speaker]) -> None:
    """Wait until nothing has arrived for a while."""
    deadline = perf_counter() + DRAIN_WITHIN_S
    before = -1
    while (now := sum(len(speaker.chunks) for speaker in speakers)) != before and perf_counter() < deadline:
        before = now
        await asyncio.sleep(QUIET_S)
