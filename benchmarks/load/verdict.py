"""After the clock has stopped: every frame of a run decoded and checked, then the figures.

Checked, for every channel and every person in it: each send was acknowledged once; the acknowledged seqs and
what each socket got are the same gap-free range, each seq once, the frames of others in order. A run that
fails is no result.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import msgspec

from benchmarks.load.conversation import Recording, Speaker
from benchmarks.load.frames import CLOSE, close_reason, walk
from benchmarks.load.stats import percentile


class WrongDeliveryError(Exception):
    """Somebody didn't get exactly what was acknowledged."""


class Seen(msgspec.Struct):
    """What matters of a server's frame."""

    type: str
    channel_id: str = ""
    seq: int = 0
    ref: str = ""


@dataclass(frozen=True)
class Figures:
    """What a run reached; latencies in seconds."""

    acks_per_s: float
    deliveries_per_s: float
    ack_p50: float
    ack_p99: float
    delivery_p50: float
    delivery_p99: float
    messages: int
    deliveries: int
    acks_ahead: int
    """Acks that overtook an earlier frame of somebody else on the same socket."""


_decode = msgspec.json.Decoder(Seen).decode


def frames(speaker: Speaker) -> Iterator[tuple[float, Seen]]:
    """Yield each frame that a socket got, with the time at which it was whole."""
    rest = b""
    for at, chunk in speaker.chunks:
        data = rest + chunk
        stop = 0
        for first, start, stop in walk(data):
            if first == CLOSE:
                raise WrongDeliveryError(f"a socket was closed: {close_reason(data[start:stop])}")
            yield at, _decode(data[start:stop])
        rest = data[stop:]
    if rest:
        raise WrongDeliveryError("a socket's last frame is cut off")


class Delivery(NamedTuple):
    """Somebody else's message that arrived `at` a time, so long after it was sent."""

    at: float
    latency: float
    to: Speaker


@dataclass(frozen=True)
class Times:
    """What a run that is as it should be was made of."""

    acks: list[tuple[float, float]]
    """When each came, and how long after its message was sent."""
    deliveries: list[Delivery]
    acks_ahead: int

    def figures(self, begin: float, end: float) -> Figures:
        """Return the figures of a span of time."""
        acks = [latency for at, latency in self.acks if begin <= at < end]
        deliveries = [latency for at, latency, _ in self.deliveries if begin <= at < end]
        return Figures(
            acks_per_s=len(acks) / (end - begin),
            deliveries_per_s=len(deliveries) / (end - begin),
            ack_p50=percentile(acks, 50),
            ack_p99=percentile(acks, 99),
            delivery_p50=percentile(deliveries, 50),
            delivery_p99=percentile(deliveries, 99),
            messages=len(self.acks),
            deliveries=len(self.deliveries),
            acks_ahead=self.acks_ahead,
        )


def judge(recording: Recording) -> Figures:
    """Check a run and return its figures.

    Raises:
        WrongDeliveryError: saying what is wrong.
    """
    return times(recording).figures(recording.begin, recording.end)


def times(recording: Recording) -> Times:
    """Check a run and return when what happened.

    Raises:
        WrongDeliveryError: saying what is wrong.
    """
    if recording.lost:
        raise WrongDeliveryError(f"{recording.lost} sockets were lost")
    sent_at: dict[tuple[str, int], float] = {}
    acks: list[tuple[float, float]] = []
    got: list[tuple[Speaker, list[tuple[float, int]], list[int]]] = []
    for speaker in recording.speakers:
        others: list[tuple[float, int]] = []
        order: list[int] = []
        known: set[int] = set()
        answered = 0
        for at, frame in frames(speaker):
            if frame.type == "ack":
                answered += 1
                started = speaker.sent[int(frame.ref)]
                sent_at[frame.channel_id, frame.seq] = started
                acks.append((at, at - started))
                if frame.seq not in known:
                    order.append(frame.seq)
            elif frame.type == "message.created" and frame.seq not in known:  # clients ignore what they know
                others.append((at, frame.seq))
                order.append(frame.seq)
                known.add(frame.seq)
            elif frame.type == "error":
                raise WrongDeliveryError("a send was refused")
        if answered != len(speaker.sent):
            raise WrongDeliveryError(f"{answered} acks for {len(speaker.sent)} messages")
        got.append((speaker, others, order))
    _check(got, sent_at)
    deliveries = [
        Delivery(at, at - sent_at[speaker.place.channel_id, seq], speaker)
        for speaker, others, _ in got
        for at, seq in others
    ]
    return Times(acks, deliveries, sum(_overtaken(order) for _, _, order in got))


def _check(
    got: Sequence[tuple[Speaker, list[tuple[float, int]], list[int]]], sent_at: dict[tuple[str, int], float]
) -> None:
    acknowledged = defaultdict(set)
    for channel, seq in sent_at:
        acknowledged[channel].add(seq)
    for speaker, others, order in got:
        seqs = acknowledged[speaker.place.channel_id]
        if seqs and len(seqs) != max(seqs) - min(seqs) + 1:
            raise WrongDeliveryError("the acknowledged seqs of a channel have a gap")
        if len(order) != len(seqs) or set(order) != seqs:
            raise WrongDeliveryError(f"a socket got {len(order)} frames for {len(seqs)} records")
        if any(a >= b for (_, a), (_, b) in pairwise(others)):
            raise WrongDeliveryError("a socket got its channel's frames out of order")


def _overtaken(order: Sequence[int]) -> int:
    return sum(b != a + 1 for a, b in pairwise(order))
