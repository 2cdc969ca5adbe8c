"""Instances whose own clocks differ go by the database's."""

from datetime import datetime, timedelta

import pytest

from kernel.clock import now
from kernel.database import Database
from modules.notifications.database_clock import EVERY, DatabaseClock


@pytest.mark.parametrize("hours", [-30, -0.01, 0, 0.01, 30])
async def test_however_wrong_our_own_is(database: Database, hours: float) -> None:
    def local() -> datetime:
        return now() + timedelta(hours=hours)

    clock = DatabaseClock(database, local)
    assert abs(clock() - local()) < timedelta(seconds=1), "until it was compared"
    await clock.round()
    assert abs(clock() - now()) < timedelta(seconds=1)


async def test_it_is_compared_again_now_and_then(database: Database) -> None:
    wrong = timedelta()
    clock = DatabaseClock(database, lambda: now() + wrong)
    await clock.round()
    wrong = timedelta(seconds=30)
    await clock.round()
    assert clock() - now() > timedelta(seconds=29), "not at once: each time would cost a round trip"
    wrong = EVERY
    await clock.round()
    assert abs(clock() - now()) < timedelta(seconds=1)
