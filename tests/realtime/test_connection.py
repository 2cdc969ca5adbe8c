"""A connection's order and bounds, over a line that takes nothing until it is told to."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from realtime.connection import ALWAYS, MAX_HELD, TOO_SLOW, Connection
from realtime.flusher import Flusher
from realtime.frame import Frame

LIMIT = 1_000
"""Bytes that a connection may lag here."""


class Line:
    """A socket in memory: what is written stays in its buffer."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.buffered_bytes = 0
        self.code: int | None = None

    def write(self, frames: Sequence[Frame]) -> None:
        """Take frames into the buffer."""
        assert self.code is None, "nothing is written after a close"
        self.written += [frame.payload for frame in frames]
        self.buffered_bytes += sum(len(frame.payload) for frame in frames)

    def close(self, code: int, _reason: str) -> None:
        """Note the code."""
        self.code = code

    async def drain(self) -> None:
        """Take everything."""
        self.buffered_bytes = 0

    async def finish(self) -> None:
        """Nothing to do."""


def connection() -> tuple[Connection, Line]:
    """Return a connection and its line."""
    line = Line()
    return Connection("ana", line, flusher=Flusher(), queue_limit=LIMIT), line


def frame(n: int, size: int = 10) -> Frame:
    """Return a frame that can be told from others."""
    return Frame(f"{n}".rjust(size, "0").encode())


async def test_frames_that_may_be_lost_are_dropped_first() -> None:
    at, line = connection()
    for n in range(60):
        at.send(frame(n))
        at.flush()
    assert line.buffered_bytes == 600
    at.send_ephemeral(frame(1000))
    at.flush()
    assert frame(1000).payload not in line.written
    at.send(frame(60))
    at.flush()
    assert line.written[-1] == frame(60).payload
    await at.drain()
    at.send_ephemeral(frame(1001))
    at.flush()
    assert line.written[-1] == frame(1001).payload


async def test_a_line_that_takes_nothing_is_closed_and_nothing_is_left_out_before() -> None:
    at, line = connection()
    for n in range(1_000):
        at.send(frame(n))
        at.flush()
    assert line.code == TOO_SLOW
    assert line.written == [frame(n).payload for n in range(len(line.written))]
    assert line.buffered_bytes <= LIMIT + 10


async def test_after_the_close_nothing_is_gathered_any_more() -> None:
    at, line = connection()
    at.close(1000, "bye")
    for n in range(100):
        at.send(frame(n))
    at.flush()
    assert line.written == []
    assert at._gathered == []


async def test_what_is_held_back_has_a_bound_too() -> None:
    at, line = connection()
    at.hold("channel:1")
    for n in range(MAX_HELD + 1):
        at.deliver("channel:1", n, frame(n))
    assert line.code == TOO_SLOW


async def test_what_is_forgotten_is_not_what_was_asked_for() -> None:
    """Who was removed while they catch up hears nothing that came meanwhile, but is answered."""
    at, line = connection()
    at.hold("channel:1")
    at.deliver("channel:1", 1, frame(1))
    at.deliver("channel:1", ALWAYS, frame(2))
    at.forget("channel:1")
    at.release("channel:1", 0)
    at.flush()
    assert line.written == [frame(2).payload]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=40), st.integers(0, 20))
async def test_held_frames_come_later_in_order_and_once(steps: list[tuple[str, bool]], known: int) -> None:
    """Frames of two topics, of which one is held for a while, whatever is delivered when."""
    at, line = connection()
    at.hold("a")
    seqs = {"a": 0, "b": 0}
    for topic, drained in steps:
        seqs[topic] += 1
        at.deliver(topic, seqs[topic], frame(seqs[topic], 10 if topic == "a" else 11))
        if drained:
            await at.drain()
    assert [p for p in line.written if len(p) == 10] == []
    at.release("a", known)
    at.flush()
    assert [int(p) for p in line.written if len(p) == 10] == list(range(known + 1, seqs["a"] + 1))
    assert [int(p) for p in line.written if len(p) == 11] == list(range(1, seqs["b"] + 1))


async def test_what_comes_while_joining_waits_and_is_written_afterwards() -> None:
    at, line = connection()
    at.hold_all()
    for n in range(1, 4):
        at.deliver("a", n, frame(n))
    at.hold("b")
    at.release("b", 7)
    at.deliver("b", 7, frame(107))
    at.deliver("b", 8, frame(108))
    at.flush()
    assert line.written == []
    at.release_all()
    at.deliver("a", 4, frame(4))
    at.flush()
    assert sorted(int(p) for p in line.written) == [1, 2, 3, 4, 108]
    assert [int(p) for p in line.written if int(p) < 100] == [1, 2, 3, 4]


async def test_a_topic_is_held_until_everybody_has_released_it() -> None:
    at, line = connection()
    at.hold("a")
    at.hold("a")
    at.deliver("a", 5, frame(5))
    at.release("a", 5)
    at.deliver("a", 6, frame(6))
    at.flush()
    assert line.written == []
    at.release("a", 3)
    at.deliver("a", 7, frame(7))
    at.flush()
    assert [int(p) for p in line.written] == [6, 7]
