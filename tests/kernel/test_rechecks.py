"""What was named is looked at afterwards, whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from kernel.errors import UnavailableError
from kernel.rechecks import Rechecks


class Looker:
    """Looks, once it is let."""

    def __init__(self) -> None:
        self.looks: list[frozenset[str] | None] = []
        self.fails_with: list[Exception] = []
        self.let = asyncio.Event()
        self.let.set()
        self.rechecks: Rechecks[str] = Rechecks("test", self._look)

    async def _look(self, named: frozenset[str] | None) -> None:
        self.looks.append(named)
        await self.let.wait()
        if self.fails_with:
            raise self.fails_with.pop()


@pytest.fixture
async def looker() -> AsyncIterator[Looker]:
    looker = Looker()
    looker.rechecks.start()
    yield looker
    await looker.rechecks.stop()


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not met():
            await asyncio.sleep(0.005)


async def test_what_is_named_during_a_look_is_looked_at_together_afterwards(looker: Looker) -> None:
    looker.let.clear()
    looker.rechecks.one("a")
    await until(lambda: len(looker.looks) == 1)
    for key in ("a", "b", "b"):
        looker.rechecks.one(key)
    looker.let.set()
    await until(lambda: len(looker.looks) == 2)
    assert looker.looks == [frozenset("a"), frozenset("ab")]


@pytest.mark.parametrize("error", [UnavailableError(), RuntimeError()])
async def test_a_look_that_fails_is_repeated_with_what_came_meanwhile(looker: Looker, error: Exception) -> None:
    looker.fails_with = [error]
    looker.let.clear()
    looker.rechecks.one("a")
    await until(lambda: len(looker.looks) == 1)
    looker.rechecks.one("b")
    looker.let.set()
    await until(lambda: len(looker.looks) == 2)
    assert looker.looks[1] == frozenset("ab")


async def test_everything_stays_everything_until_a_look_succeeds(looker: Looker) -> None:
    looker.fails_with = [UnavailableError()]
    looker.rechecks.one("a")
    looker.rechecks.everything()
    await until(lambda: len(looker.looks) == 2)
    looker.rechecks.one("b")
    await until(lambda: len(looker.looks) == 3)
    assert looker.looks == [None, None, frozenset("b")]


async def test_once_stopped_nothing_is_looked_at(looker: Looker) -> None:
    await looker.rechecks.stop()
    looker.rechecks.one("a")
    await asyncio.sleep(0.05)
    assert looker.looks == []
