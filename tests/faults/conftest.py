"""Worlds for tests of faults: a server of one's own, on a PostgreSQL of one's own where that is to be killed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.databases import Databases, databases


@pytest.fixture(scope="session")
def kills() -> int:
    """How often a loop kills: PARLEY_TEST_KILLS, few by default."""
    return int(os.environ.get("PARLEY_TEST_KILLS", "3"))


@pytest.fixture(scope="module")
def mortal_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a PostgreSQL that may be killed."""
    return tmp_path_factory.mktemp("mortal")


@pytest.fixture(scope="module")
def mortal(mortal_dir: Path) -> Iterator[Databases]:
    """A PostgreSQL that may be killed."""
    with databases(mortal_dir) as running:
        yield running


@pytest.fixture
def postmaster(mortal_dir: Path) -> Callable[[], int]:
    """Find the process id of the PostgreSQL that may be killed."""
    return lambda: int(next(mortal_dir.rglob("postmaster.pid")).read_text().split()[0])
