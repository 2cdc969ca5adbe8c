"""Who lags behind is told the newest badge of each channel, the newest of all as the last, and costs little."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from modules.notifications.personal import latest as module
from modules.notifications.personal.latest import MAX_WAITING, RETRY_S, Latest
from realtime.connection import TOO_SLOW
from realtime.frame import Frame
from tests.realtime.test_connection import Line, connection
from tests.support import broken_pages

X, Y = uuid4(), uuid4()
LAGS = 800
"""Bytes, of the thousand that a connection may lag here."""


def badge(channel_id: UUID, total: int) -> Frame:
    """Return what stands for a badge."""
    return Frame(msgspec.json.encode([channel_id, total]))


def told(line: Line) -> list[tuple[UUID, int]]:
    """Return what was written."""
    return [msgspec.json.decode(payload, type=tuple[UUID, int]) for payload in line.written]


@pytest.fixture
def latest() -> Iterator[Latest]:
    made = Latest()
    yield made
    made.stop()


async def lagging(latest: Latest) -> list[tuple[UUID, int]]:
    """Return what a socket is told that lags for a time."""
    at, line = connection()
    latest.put(at, X, badge(X, 1))
    at.flush()
    line.buffered_bytes = LAGS
    for total, channel in enumerate((X, Y, X, Y, X), start=2):
        latest.put(at, channel, badge(channel, total))
        at.flush()
    line.buffered_bytes = 0
    latest.put(at, Y, badge(Y, 7))
    await asyncio.sleep(module.RETRY_S * 3)
    at.flush()
    return told(line)


async def test_the_newest_of_each_channel_in_their_order(latest: Latest) -> None:
    assert await lagging(latest) == [(X, 1), (X, 6), (Y, 7)]


async def test_the_same_check_finds_badges_in_any_order(latest: Latest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant."""
    patch: Callable[..., Any] = monkeypatch.setattr
    broken_pages.badges_in_any_order(patch)
    monkeypatch.setattr(module, "RETRY_S", RETRY_S)
    assert await lagging(latest) != [(X, 1), (X, 6), (Y, 7)]


async def test_a_socket_that_is_joining_is_told_afterwards(latest: Latest) -> None:
    at, line = connection()
    at.hold_all()
    latest.put(at, X, badge(X, 1))
    await asyncio.sleep(RETRY_S * 2)
    at.flush()
    assert told(line) == []
    at.release_all()
    await asyncio.sleep(RETRY_S * 2)
    at.flush()
    assert told(line) == [(X, 1)]


async def test_what_waits_is_bounded(latest: Latest) -> None:
    at, line = connection()
    line.buffered_bytes = LAGS
    for n in range(MAX_WAITING + 1):
        channel = uuid4()
        latest.put(at, channel, badge(channel, n))
    assert (at.closed, line.code) == (True, TOO_SLOW)
    await asyncio.sleep(RETRY_S * 2)
    assert latest._waiting == {}, "nothing is kept for who is gone"
