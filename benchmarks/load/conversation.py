"""People talking over sockets: who sends when, and afterwards what everybody got.

Two ways of sending: closed (each sender has one message under way and sends the next on its ack) and open
(arrivals of a Poisson process, whatever the server does). Everything that arrives is kept with its time and
checked when the clock has stopped, see `benchmarks.load.verdict`.
"""

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter

from benchmarks.load.frames import text_frame
from benchmarks.load.sockets import Answered
from benchmarks.load.transports import close_all, open_all
from benchmarks.machine import CpuMeter
from benchmarks.servers import Server
from benchmarks.shape import CONTENT

WARM_UP_S = 0.5
QUIET_S = 0.3
DRAIN_WITHIN_S = 20


@dataclass(frozen=True)
class Place:
    """A channel and the people in it; the first `senders` of them send."""

    channel_id: str
    user_ids: Sequence[str]
    senders: int


class Speaker(Answered):
    """A person's socket. `sent` holds when each of their messages was sent; the place there is its `ref`.

    While they are `chatty`, they send the next message as soon as one is acknowledged.
    """

    def __init__(self, transport: asyncio.Transport, place: Place, run: str, server: Server, *, sends: bool) -> None:
        super().__init__(self._answered_now)
        self.place = place
        self.server = server
        self.sends = sends
        self.sent: list[float] = []
        self.answered = 0
        self.chatty = False
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
    servers: Sequence[Server],
    places: Sequence[Place],
    tokens: dict[str, str],
    meter: CpuMeter,
    *,
    run: str,
    seconds: float,
    per_s: float | None = None,
    meanwhile: Coroutine[None, None, None] | None = None,
) -> Recording:
    """Let the senders of all places talk for `seconds`: in a closed loop, or at `per_s` in an open one.

    The people of each place are spread over the servers in turn. What happens `meanwhile` begins with the clock.
    """
    async with speaking(servers, places, tokens, run) as speakers:
        senders = [speaker for speaker in speakers if speaker.sends]
        with _no_garbage_collected():
            begin = perf_counter() + WARM_UP_S
            warm = asyncio.create_task(_restart(meter, WARM_UP_S))
            beside = asyncio.create_task(meanwhile or asyncio.sleep(0))
            lag = await _sending(senders, per_s, WARM_UP_S + seconds)
            end = perf_counter()
            await warm
            shares = meter.shares(end - begin)
            await beside
            await _quiet(speakers)
        return Recording(speakers, begin, end, shares, sum(speaker.lost for speaker in speakers), lag)


@asynccontextmanager
async def speaking(
    servers: Sequence[Server], places: Sequence[Place], tokens: dict[str, str], run: str
) -> AsyncIterator[list[Speaker]]:
    """Connect the people of all places; those of each place are spread over the servers in turn."""
    people = [
        (place, user, rank, server)
        for place in places
        for (rank, user), server in zip(enumerate(place.user_ids), cycle(servers), strict=False)
    ]
    transports = await open_all((server, tokens[user]) for _, user, _, server in people)
    try:
        speakers = []
        for transport, (place, user, rank, server) in zip(transports, people, strict=True):
            speaker = Speaker(transport, place, f"{run}-{user}", server, sends=rank < place.senders)
            transport.set_protocol(speaker)
            speakers.append(speaker)
        yield speakers
    finally:
        await close_all(transports)


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _restart(meter: CpuMeter, after_s: float) -> None:
    await asyncio.sleep(after_s)
    meter.restart()


async def _sending(senders: Sequence[Speaker], per_s: float | None, seconds: float) -> list[float]:
    """Send for so long; returns by how much each message of an open loop was late."""
    if per_s is not None:
        return await _arrivals(senders, per_s, seconds)
    for speaker in senders:
        speaker.chatty = True
        speaker.send()
    await asyncio.sleep(seconds)
    for speaker in senders:
        speaker.chatty = False
    return []


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
