"""A host with keys of its own."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from kernel.auth.jwks import KeySet
from kernel.auth.jwt import TokenVerifier
from tests.support.jwks import SECRET, JwksServer


@pytest.fixture
async def key_server() -> AsyncIterator[JwksServer]:
    jwks = JwksServer()
    app = web.Application()
    app.router.add_get("/jwks", jwks.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    jwks.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield jwks
    await runner.cleanup()


@pytest.fixture
def remote(key_server: JwksServer) -> TokenVerifier:
    """Trusts the host's keys only."""
    return TokenVerifier(secret=None, keys=KeySet(key_server.url))


@pytest.fixture
def local() -> TokenVerifier:
    """Trusts the shared secret only."""
    return TokenVerifier(secret=SECRET)
