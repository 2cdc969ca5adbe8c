"""The long random test: everything that people, hosts and machines do, at once, and then everybody sees what happened.

A failure names its seed; PARLEY_TEST_SIMULATION_SEED replays it. PARLEY_TEST_SIMULATION_RUNS and …_STEPS make it long.
"""

import os
from pathlib import Path
from secrets import randbelow

import pytest

from tests.simulation.plan import plan
from tests.simulation.simulation import report, simulate
from tests.simulation.world import World

ALWAYS = (1, 2)


def seeds() -> list[int]:
    """Return the one that is asked for, or some that are always the same, and new ones."""
    wanted = os.environ.get("PARLEY_TEST_SIMULATION_SEED")
    if wanted is not None:
        return [int(wanted)]
    new = int(os.environ.get("PARLEY_TEST_SIMULATION_RUNS", "1"))
    return [*ALWAYS, *(randbelow(10**6) for _ in range(new))]


async def test_everybody_sees_what_the_log_says(world: World, length: int, tmp_path: Path) -> None:
    for seed in seeds():
        drawn = plan(seed, length)
        try:
            faults = await simulate(world, drawn)
        except Exception as error:
            error.add_note(report(drawn, [], tmp_path))
            raise
        if faults:
            pytest.fail(report(drawn, faults, tmp_path))
