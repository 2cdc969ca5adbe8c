"""People and their invitations: on a server that all tests of a module share, or on a database without one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kernel.database import Database
from tests.modules.contacts.house import Housing, houses
from tests.modules.contacts.writing import Writing
from tests.support.acquaintance import Circle, circle
from tests.support.invitations import Invitations, invitations
from tests.support.party import party
from tests.support.servers import Host, Server


@pytest.fixture(scope="module")
async def invites(server: Server) -> AsyncIterator[Invitations]:
    """Invitations in the server's database."""
    async with invitations(server.environment["DATABASE_URL"]) as made:
        yield made


@pytest.fixture
def writing(database: Database) -> Writing:
    return Writing(database)


@pytest.fixture
async def housing(dsn: str, tmp_path: Path) -> AsyncIterator[Housing]:
    """Applications in this process, on one database."""
    async with houses(dsn, tmp_path) as build:
        yield build


@pytest.fixture
async def three(host: Host) -> AsyncIterator[Circle]:
    """Three who have nothing to do with each other yet."""
    with party(host, "ana", "ben", "cem") as people:
        async with circle(people) as gathered:
            yield gathered
