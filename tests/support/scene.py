"""A dispute of ana, ben and cem, with oda who only reads, and fay who has no part in it: on one server or on two."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from tests.support.chat import Chat, Frame, chat
from tests.support.servers import Host, Server, running_server

ONE, TWO = 0, 1
"""Servers, by their places in a pair."""
Pair: TypeAlias = tuple[Host, list[Server]]
"""Two servers on one database, and their host."""

ROLES = {"ana": "claimant", "ben": "respondent", "cem": "party", "oda": "observer"}


class Scene:
    """People by their first names; `at` says on which server."""

    def __init__(self, host: Host, servers: Sequence[Server]) -> None:
        self.host = host
        self.servers = servers
        self.name = uuid4().hex[:8]
        self.tokens = {name: host.user(self.id(name)) for name in (*ROLES, "fay")}
        self.put(ROLES)
        with host.person(self.tokens["ana"]) as ana:
            sent = ana.post(
                f"/api/contexts/dispute/{self.name}/messages", json={"client_id": "first", "content": "hello"}
            )
        self.channel = str(sent.raise_for_status().json()["channel_id"])

    def id(self, name: str) -> str:
        """Return somebody's user id."""
        return f"{name}-{self.name}"

    def put(self, roles: Mapping[str, str]) -> None:
        """Let these people take part, and nobody else."""
        self.host.context(self.name, {self.id(name): role for name, role in roles.items()}, kind="dispute")

    @asynccontextmanager
    async def sockets(self, *people: tuple[str, int]) -> AsyncIterator[list[Chat]]:
        """Connect people, each to a server."""
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self.socket(name, at)) for name, at in people]

    @asynccontextmanager
    async def socket(self, name: str, at: int = 0) -> AsyncIterator[Chat]:
        """Connect somebody."""
        async with chat(self.servers[at].ws_url, self.tokens[name]) as socket:
            yield socket

    async def typing(self, socket: Chat, *, is_typing: bool = True, channel: str | None = None) -> None:
        """Say that somebody types, or stops."""
        await socket.send(type="typing", channel_id=channel or self.channel, is_typing=is_typing)

    def names(self, frame: Frame) -> list[str]:
        """Return who types, by first names."""
        return [user_id.split("-")[0] for user_id in frame["user_ids"]]

    async def typists(self, socket: Chat, *names: str, patience_s: float = 15) -> None:
        """Wait until a socket is told that these people type, in this order."""
        async with asyncio.timeout(patience_s):
            while self.names(await socket.receive("typing", patience_s=patience_s)) != list(names):
                pass

    async def watch(self, socket: Chat, *names: str) -> dict[str, str]:
        """Watch people; returns who is told of, and their status. A pong ends the answer."""
        seen = len(socket.seen)
        await socket.send(type="presence.watch", user_ids=[self.id(name) for name in names])
        await socket.send(type="ping", ref="watched")
        await socket.receive("pong")
        return statuses(socket.seen[seen:])

    async def becomes(self, socket: Chat, name: str, status: str, patience_s: float = 40) -> Frame:
        """Wait until a socket is told that somebody's status is this."""
        async with asyncio.timeout(patience_s):
            while True:
                frame = await socket.receive("presence", patience_s=patience_s)
                if (frame["user_id"], frame["status"]) == (self.id(name), status):
                    return frame

    async def quiet(self, socket: Chat, *types: str, for_s: float = 1.0) -> list[Frame]:
        """Return the frames of these types that a socket gets during a time."""
        seen = len(socket.seen)
        await asyncio.sleep(for_s)
        await socket.send(type="ping", ref="quiet")
        await socket.receive("pong")
        return [frame for frame in socket.seen[seen:] if frame["type"] in types]


def statuses(frames: Sequence[Frame]) -> dict[str, str]:
    """Return the last status of each person told of, by first names."""
    return {f["user_id"].split("-")[0]: f["status"] for f in frames if f["type"] == "presence"}


@contextmanager
def two_hosts(dsn: str, folder: Path, **settings: Any) -> Iterator[Pair]:
    """Run two servers on one database."""
    variant = settings.pop("variant", None)
    with (
        running_server(dsn, folder / "one", variant=variant, **settings) as one,
        running_server(dsn, folder / "two", variant=variant, **settings) as two,
    ):
        host = Host(one, one.cli("keys", "create", "tests"))
        with host.http:
            yield host, [one, two]
