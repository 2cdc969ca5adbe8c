"""Identity on a real database, behind its real HTTP handlers."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide

from bus import Bus
from kernel.database import Database
from kernel.http.access import AUTHENTICATOR, guard, provide_caller
from kernel.http.body import StrictRequest
from kernel.http.problems import render
from kernel.settings import Settings
from modules.identity.events import UserDeactivated, UserUpdated
from modules.identity.module import IdentityModule
from tests.support.asgi import asked
from tests.support.databases import Databases

SECRET = "a-secret-for-tests-that-is-long-enough"


class Identity(IdentityModule):
    """The module, with what it published."""

    def __init__(self, settings: Settings, database: Database) -> None:
        bus = Bus()
        super().__init__(settings=settings, database=database, bus=bus)
        self.subscribe(bus)
        self.published: list[UserUpdated | UserDeactivated] = []
        bus.on(UserUpdated, self.published.append)
        bus.on(UserDeactivated, self.published.append)

    def client(self) -> httpx.AsyncClient:
        """Speak to the application in this loop, where its database connections live."""
        app = Litestar(
            self.routes,
            guards=[guard],
            dependencies={"caller": Provide(provide_caller, sync_to_thread=False)},
            exception_handlers={Exception: render},
            request_class=StrictRequest,
        )
        app.state[AUTHENTICATOR] = self.authenticator
        return asked(app)

    async def bearer(self, *scopes: str) -> dict[str, str]:
        """Return the headers of a host back end with these scopes."""
        _, key = await self.keys.create("tests", scopes or ["*"])
        return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="package")
def dsn(postgres: Databases) -> Iterator[str]:
    """One database for all tests here: emptying it is quicker than making one."""
    with postgres.fresh() as fresh:
        yield fresh


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    opened = await Database.connect(dsn, size=10)
    async with opened.transaction() as tx:
        for table in ("identity_users", "identity_api_keys", "kernel_idempotency_keys"):
            await tx.connection.execute(f"DELETE FROM {table}")
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def single(dsn: str, database: Database) -> AsyncIterator[Database]:
    """The same database through a single connection, whose queries can be counted."""
    opened = await Database.connect(dsn, size=1)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(jwt_secret=SECRET, data_dir=tmp_path)


@pytest.fixture
def identity(settings: Settings, database: Database) -> Identity:
    return Identity(settings, database)


@pytest.fixture
async def http(identity: Identity) -> AsyncIterator[httpx.AsyncClient]:
    """A host back end that may do everything."""
    async with identity.client() as client:
        client.headers.update(await identity.bearer())
        yield client
