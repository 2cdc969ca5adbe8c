"""People and their invitations: on a server that all tests of a module share, or on a database without one."""

from collections.abc import AsyncIterator

import pytest

from kernel.database import Database
from tests.modules.contacts.writing import Writing
from tests.support.invitations import Invitations, invitations
from tests.support.servers import Server


@pytest.fixture(scope="module")
async def invites(server: Server) -> AsyncIterator[Invitations]:
    """Invitations in the server's database."""
    async with invitations(server.environment["DATABASE_URL"]) as made:
        yield made


@pytest.fixture
def writing(database: Database) -> Writing:
    return Writing(database)
