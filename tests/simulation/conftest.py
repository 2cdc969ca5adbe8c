"""A world that lasts for all runs: starting it takes longer than a run."""

import os
from collections.abc import Iterator

import pytest

from tests.simulation.world import World, a_mortal_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two instances on a PostgreSQL of their own."""
    with a_mortal_world(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def length() -> int:
    """How many steps a run has: PARLEY_TEST_SIMULATION_STEPS, few by default."""
    return int(os.environ.get("PARLEY_TEST_SIMULATION_STEPS", "160"))
