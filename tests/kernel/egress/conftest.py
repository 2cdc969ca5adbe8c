"""Servers on loopback that stand for the internet and for what mustn't be reached."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from kernel.egress.client import Egress
from kernel.egress.policy import Policy
from tests.support.tls import Authority

OUTSIDE, INSIDE = "127.0.0.1", "127.0.0.2"
"""The first stands for a public address; the second is loopback and stays it."""

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Names(AbstractResolver):
    """A name server that answers as told, in turn; the last answer stays. It also knows the ports."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[tuple[str, int]]]] = {}
        self.asked: list[str] = []

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 - the interface's
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - likewise
    ) -> list[ResolveResult]:
        """Answer, or not know."""
        self.asked.append(host)
        turns = self.answers.get(host)
        if not turns:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        addresses = turns.pop(0) if len(turns) > 1 else turns[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=at,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address, at in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Listener:
    """A server that notes who comes, and how often somebody connects."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.address = ("", 0)
        self.answer: Handler | None = None

    @property
    def url(self) -> str:
        """Its address, as http."""
        return f"http://{self.address[0]}:{self.address[1]}"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Note it and answer."""
        self.requests.append((request.raw_path, dict(request.headers), await request.read()))
        return await self.answer(request) if self.answer else web.Response(status=201, text="taken")


@asynccontextmanager
async def listening(address: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """Listen on a free port of this address."""
    listener = Listener()
    server = web.Server(listener.handle, access_log=None)

    def counted() -> Any:
        listener.connections += 1
        return server()

    loop = asyncio.get_running_loop()
    bound = await loop.create_server(counted, address, 0, ssl=tls)
    listener.address = bound.sockets[0].getsockname()[:2]
    yield listener
    bound.close()
    await server.shutdown(0.1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def outside(authority: Authority, names: Names) -> AsyncIterator[Listener]:
    """`hooks.example`, over TLS, at what counts as public here."""
    async with listening(OUTSIDE, authority.server("hooks.example", "other.example")) as listener:
        names.answers["hooks.example"] = [[listener.address]]
        yield listener


@pytest.fixture
async def inside() -> AsyncIterator[Listener]:
    """What mustn't be reached."""
    async with listening(INSIDE) as listener:
        yield listener


@pytest.fixture
async def egress(authority: Authority, names: Names) -> AsyncIterator[Egress]:
    """Calls every host whose address is `OUTSIDE`."""
    policy = Policy(anywhere=True, admits=lambda address: address == OUTSIDE)
    client = Egress(policy, timeout_s=1.0, connect_timeout_s=0.5, resolver=names, tls=authority.client())
    yield client
    await client.close()
