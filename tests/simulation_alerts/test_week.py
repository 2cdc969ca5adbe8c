"""A week of simulated time around each change of the clocks, checked against what was true at each moment.

A failure names its seed: PARLEY_TEST_WEEKS_SEED replays it. PARLEY_TEST_WEEKS (how many of each) and
PARLEY_TEST_WEEKS_MESSAGES make it long.
"""

import asyncio
import os
from datetime import UTC, datetime
from secrets import randbelow

import pytest

from kernel.database import Database
from kernel.settings import Settings
from tests.simulation_alerts.plan import Plan, plan
from tests.simulation_alerts.verdict import faults_of
from tests.simulation_alerts.week import Week
from tests.support.databases import Databases

SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)  # forward in Europe on 29 March, back in the south on 5 April
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)  # back in Europe on 25 October, in America on 1 November
WEEKS = {"March": SPRING, "October": AUTUMN}
DAYS = 8
MESSAGES = int(os.environ.get("PARLEY_TEST_WEEKS_MESSAGES", "50"))


def seeds() -> list[int]:
    """Return the one that is asked for, or new ones."""
    wanted = os.environ.get("PARLEY_TEST_WEEKS_SEED")
    count = int(os.environ.get("PARLEY_TEST_WEEKS", "1"))
    return [int(wanted)] if wanted is not None else [randbelow(10**6) for _ in range(count)]


@pytest.mark.parametrize("start", WEEKS.values(), ids=WEEKS)
def test_a_week_keeps_every_promise(postgres: Databases, settings: Settings, start: datetime) -> None:
    for seed in seeds():
        drawn = plan(seed, start, days=DAYS, messages=MESSAGES)
        with postgres.fresh() as dsn:
            week, faults = asyncio.run(happened(dsn, settings, drawn))
        assert faults == [], report(week, faults)


async def happened(dsn: str, settings: Settings, drawn: Plan) -> tuple[Week, list[str]]:
    """Let a week happen on a database; return it, and what is wrong with it."""
    database = await Database.connect(dsn, size=6)
    try:
        week = Week(database, settings, drawn)
        return week, await faults_of(week)
    finally:
        await database.close()


def report(week: Week, faults: list[str]) -> str:
    """Say how to see it again, and what is wrong."""
    seed = f"PARLEY_TEST_WEEKS_SEED={week.plan.seed} PARLEY_TEST_WEEKS_MESSAGES={MESSAGES} ({week.plan.start})"
    return "\n".join([seed, *faults])
