"""A part that can't start takes those down that were started before it, and the process ends."""

import asyncio

import asyncpg
import pytest

from app import Parley
from kernel.settings import Settings
from modules.messaging.writer import Writer
from tests.support.databases import execute


@pytest.fixture
async def crippled(dsn: str) -> None:
    """A database without a table that the last module reads when it starts."""
    await execute(dsn, "DROP TABLE notification_transports")


async def test_nothing_goes_on(settings: Settings, crippled: None) -> None:
    assert await left_running(settings) == set()


async def test_the_same_check_finds_what_isnt_stopped(
    settings: Settings, crippled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_: Writer) -> None:
        pass

    monkeypatch.setattr(Writer, "stop", nothing)
    left = await left_running(settings)
    assert {task.get_name() for task in left} == {"writer"}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def left_running(settings: Settings) -> set[asyncio.Task[object]]:
    """Return the tasks of a Parley that couldn't start."""
    before = asyncio.all_tasks()
    with pytest.raises(asyncpg.UndefinedTableError):
        async with Parley(settings).running():
            pass
    return asyncio.all_tasks() - before
