"""People and their invitations, on a server that all tests of a module share."""

from collections.abc import AsyncIterator

import pytest

from tests.support.invitations import Invitations, invitations
from tests.support.servers import Server


@pytest.fixture(scope="module")
async def invites(server: Server) -> AsyncIterator[Invitations]:
    """Invitations in the server's database."""
    async with invitations(server.environment["DATABASE_URL"]) as made:
        yield made
