"""The application in the test's own process, on a real database, so that mechanisms can be taken out, and statements be
seen.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from asyncpg.connection import LoggedQuery
from litestar import Litestar

from app import Parley, create_app
from kernel.database import Database
from kernel.runtime_role import RUNTIME_ROLE
from kernel.settings import Settings
from modules.identity.schemas import UserEntry
from tests.modules.contacts.guests import at_once
from tests.support.asgi import asked
from tests.support.servers import SECRET
from tests.support.tokens import token

NAMES = [f"p{number:03}" for number in range(120)]
BULK = 100
MISSES = 4
BY_ADDRESS = 10


class House:
    """The application, without its workers; everybody of `NAMES` is there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.parley = Parley(settings)
        self.app: Litestar = create_app(parley=self.parley)
        self.noted: list[str] = []

    async def open(self, dsn: str, size: int) -> None:
        """Open its database, noting every statement when there is one connection only."""
        await self.parley.database.open(dsn, size=size, role=RUNTIME_ROLE)
        people = [UserEntry(user_id=name, username=name, display_name=name.title()) for name in NAMES]
        for at in range(0, len(people), BULK):
            await self.parley.identity.people.put_all(people[at : at + BULK])
        if size == 1:
            async with self.parley.database.pool.acquire() as connection:
                connection.add_query_logger(self._note)

    def _note(self, query: LoggedQuery) -> None:
        self.noted.append(" ".join(query.query.split()))

    def client(self, address: str = "192.0.2.1") -> httpx.AsyncClient:
        """Return a client that comes from an address."""
        return asked(self.app, address=address)

    async def ask(self, name: str, body: Any, path: str = "", address: str = "192.0.2.1") -> httpx.Response:
        """Have somebody invite from an address."""
        async with self.client(address) as client:
            return await client.post(f"/api/invites{path}", json=body, headers=bearer(name))

    async def race(self, asked: Sequence[tuple[str, Mapping[str, Any]]], path: str = "") -> list[httpx.Response]:
        """Have people invite at once."""
        async with self.client() as client:
            return await at_once(client, [(token(name), body) for name, body in asked], path)

    async def pin(self, name: str) -> str:
        """Return somebody's pin."""
        return (await self.parley.identity.people.me(name)).connect_pin

    async def run(self, statement: str, *arguments: object) -> list[Any]:
        """Ask the database."""
        async with self.parley.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(statement, *arguments)]


def bearer(name: str) -> dict[str, str]:
    """Return somebody's headers."""
    return {"Authorization": f"Bearer {token(name)}"}


Housing: TypeAlias = Callable[..., Awaitable[House]]
"""Builds a house, with a number of connections and settings."""


@asynccontextmanager
async def houses(dsn: str, data_dir: Path) -> AsyncIterator[Housing]:
    """Build houses on a database; they are closed at the end."""
    built: list[Database] = []

    async def build(size: int = 10, **settings: Any) -> House:
        given = {"invite_misses_per_account_per_hour": MISSES, "invite_misses_per_address_per_hour": BY_ADDRESS}
        free = {"max_requests_per_s": 1e6}
        house = House(Settings(data_dir=data_dir, database_url=dsn, jwt_secret=SECRET, **given | free | settings))
        built.append(house.parley.database)
        await house.open(dsn, size)
        return house

    try:
        yield build
    finally:
        for database in built:
            await database.close()


def to(name: str) -> dict[str, Any]:
    """Return a body that invites somebody."""
    return {"user_id": name}


def misses(count: int) -> list[dict[str, Any]]:
    """Return bodies that lead to nobody."""
    return [{"user_id": f"nobody-{number}"} for number in range(count)]
